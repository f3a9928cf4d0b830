import type { PortRange } from "../../shared/port-range.ts";
import type { Obstacle } from "./journey.ts";
import type { Look } from "./look.ts";

/** What to do about an obstacle; `run` is a command that does it, as it stands. */
export interface Advice {
  readonly run?: string;
  readonly hint: string;
}

const STAYS = "the guard stays in front of it: only those with a grant come so far";
const LASTS = "and put it where it lasts over a restart";
const KEPT = `${LASTS}; ${STAYS}`;

/** In the words of the firewall that drops it, for all ports of a service's range. None of it lets anything past the guard. */
export function adviceFor(range: PortRange, obstacle: Obstacle, look: Look): Advice {
  const { program, certainty, isAnswer } = obstacle;
  if (certainty === "unknown")
    return { hint: "see what that rule does with it, or try it: tock open, and connect" };
  const name = nameOf(program, look);
  const advice = isAnswer
    ? answerAdvice(obstacle, name)
    : (managed(range, obstacle) ?? ruleFor(range, obstacle, name));
  // That may be as it is meant.
  if (certainty === "some" && advice.run !== undefined)
    return { hint: `to let devices in from elsewhere too: ${advice.run}` };
  return advice;
}

/** Where a program manages the rules: by that program. */
function managed({ protocol, first, last }: PortRange, obstacle: Obstacle): Advice | undefined {
  if (!obstacle.packet.local) return undefined;
  if (obstacle.chain.startsWith("ufw") || isUfw(obstacle))
    return { run: `ufw allow ${spell(first, last, ":")}/${protocol}`, hint: STAYS };
  const zone = zoneOf(obstacle);
  if (zone === undefined) return undefined;
  const add = `firewall-cmd --permanent --zone=${zone} --add-port=${spell(first, last, "-")}/${protocol}`;
  return { run: `${add} && firewall-cmd --reload`, hint: STAYS };
}

/** A rule in front of all others of the chain. */
function ruleFor({ protocol, first, last }: PortRange, obstacle: Obstacle, name: string): Advice {
  const { program, table, base, packet, path } = obstacle;
  const isGuards =
    program === "nft" ? /^ip6? mangle PREROUTING$/.test(base) : `${table} ${base}` === "mangle PREROUTING";
  // An accept there would let everybody past the guard, which is in the same chain.
  if (isGuards) return { hint: `leave ${protocol}/${spell(first, last, "-")} out of that rule` };
  const isMoved = packet.port !== packet.sentTo;
  const between = program === "nft" ? "-" : ":";
  const here = isMoved ? String(packet.port) : spell(first, last, between);
  const there = spell(first, last, between);
  if (program === "nft") {
    const isDirect = packet.local || base.startsWith("netdev ");
    const test = isDirect
      ? `${protocol} dport ${here}`
      : `meta l4proto ${protocol} ct original proto-dst ${there}`;
    return { run: `nft insert rule ${base} ${test} accept`, hint: KEPT };
  }
  const command = name + (table === "filter" ? "" : ` -t ${table}`);
  if (packet.local)
    return { run: `${command} -I ${base} -p ${protocol} --dport ${here} -j ACCEPT`, hint: KEPT };
  const chain = path.includes("DOCKER-USER") ? "DOCKER-USER" : base;
  const test = `-p ${protocol} -m conntrack --ctorigdstport ${there}`;
  return { run: `${command} -I ${chain} ${test} -j ACCEPT`, hint: KEPT };
}

function spell(first: number, last: number, between: "-" | ":"): string {
  return first === last ? String(first) : `${first}${between}${last}`;
}

/** What goes out is a service's answer, or a reply of Tock's own, which conntrack takes for something new. */
function answerAdvice({ program, table, base, packet }: Obstacle, command: string): Advice {
  const { state, protocol, sourcePort } = packet;
  const isKnown = state === "established";
  if (program === "nft") {
    const test = isKnown ? "ct state established" : `${protocol} sport ${sourcePort}`;
    return { run: `nft insert rule ${base} ${test} accept`, hint: LASTS };
  }
  const test = isKnown ? "-m conntrack --ctstate ESTABLISHED" : `-p ${protocol} --sport ${sourcePort}`;
  return {
    run: `${command}${table === "filter" ? "" : ` -t ${table}`} -I ${base} ${test} -j ACCEPT`,
    hint: LASTS,
  };
}

/** The program as it is called where it is the one that the machine's alternatives name. */
function nameOf(program: string, look: Look): string {
  const own = look("iptables", "-V").includes("nf_tables") ? "-nft" : "-legacy";
  return program.endsWith(own) ? program.slice(0, -own.length) : program;
}

/** The policy that ufw sets, with no other program's rule in between. */
function isUfw({ rule, path }: Obstacle): boolean {
  return rule.startsWith("-P ") && path.some((chain) => /^ufw6?-user-input$/.test(chain));
}

/** The zone of firewalld whose chain the packet went through. */
function zoneOf({ table, path, program }: Obstacle): string | undefined {
  const isOfIt = program === "nft" ? table === "inet firewalld" : path.includes("INPUT_ZONES");
  if (!isOfIt) return undefined;
  const [, zone] = /(?:^|[ _])IN_([A-Za-z0-9-]+)(?: |$)/.exec(path.join(" ")) ?? [];
  return zone;
}
