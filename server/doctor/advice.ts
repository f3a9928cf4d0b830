import type { PortRange } from "../../shared/port-range.ts";
import type { Obstacle } from "./journey.ts";
import type { Look } from "./look.ts";
import type { Packet } from "./walk.ts";

/** What to do about an obstacle; `run` is a command that does it, as it stands. */
export interface Advice {
  readonly run?: string;
  readonly hint: string;
}

/** The guard that stands in the way of whom the advice would let in; `none`: what it is about is for everybody. */
export type Behind = "on" | "trial" | "off" | "none";

const STAYS = "the guard stays in the way: only those with a grant get through";
const LASTS = "and put it where it lasts over a restart";

/** In the words of the firewall that drops it, for all ports of a service's range. None of it lets in more than the guard guards. */
export function adviceFor(range: PortRange, obstacle: Obstacle, look: Look, guard: Behind): Advice {
  const { program, certainty, isAnswer } = obstacle;
  if (certainty === "unknown")
    return { hint: "see what that rule does with it, or try it: tock open, and connect" };
  const name = nameOf(program, look);
  const advice = isAnswer
    ? ruleFor(obstacle, answerTest(obstacle), name, LASTS)
    : (managed(range, obstacle) ?? openingFor(range, obstacle, name, guard));
  const words = advice.run ?? advice.hint;
  if (guard === "trial" && !isAnswer)
    return { hint: `once the guard is on for good, for when its trial ends it lets everybody in: ${words}` };
  if (guard === "off" && !isAnswer)
    return { hint: `after tockd guard on, for until then it lets everybody in: ${words}` };
  // That may be as it is meant.
  if (certainty === "some" && advice.run !== undefined)
    return { hint: `to let devices in from elsewhere too: ${words}` };
  return advice;
}

/** Where a program manages the rules: by that program. */
function managed({ protocol, first, last }: PortRange, obstacle: Obstacle): Advice | undefined {
  if (!obstacle.packet.local || !isDirect(obstacle.packet)) return undefined;
  if (obstacle.chain.startsWith("ufw") || isUfw(obstacle))
    return { run: `ufw allow ${spell(first, last, ":")}/${protocol}`, hint: STAYS };
  const zone = zoneOf(obstacle);
  if (zone === undefined) return undefined;
  const add = `firewall-cmd --permanent --zone=${zone} --add-port=${spell(first, last, "-")}/${protocol}`;
  return { run: `${add} && firewall-cmd --reload`, hint: STAYS };
}

function openingFor(range: PortRange, obstacle: Obstacle, name: string, guard: Behind): Advice {
  const { program, table, base } = obstacle;
  const isGuards =
    program === "nft" ? /^ip6? mangle PREROUTING$/.test(base) : `${table} ${base}` === "mangle PREROUTING";
  const ports = `${range.protocol}/${spell(range.first, range.last, "-")}`;
  // An accept there would let everybody past the guard, which is in the same chain.
  if (isGuards) return { hint: `leave ${ports} out of that rule` };
  const test = program === "nft" ? nftTest(range, obstacle) : iptablesTest(range, obstacle);
  return ruleFor(obstacle, test, name, guard === "none" ? LASTS : `${LASTS}; ${STAYS}`);
}

/** Names that mean nothing else to a shell. The kernel takes any. */
const NFT_CHAIN = /^[a-z0-9]+( [A-Za-z0-9_][A-Za-z0-9_.-]*){2}$/;
const IPTABLES_CHAIN = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** A rule that accepts, where it has its say. */
function ruleFor({ program, table, spot }: Obstacle, test: string, name: string, hint: string): Advice {
  const { chain, before } = spot;
  if (!(program === "nft" ? NFT_CHAIN : IPTABLES_CHAIN).test(chain))
    return { hint: "have it accepted in front of that, by hand: its name is none for a shell" };
  if (program === "nft") {
    const where = before === undefined ? `add rule ${chain}` : `insert rule ${chain} handle ${before}`;
    return { run: `nft ${where} ${test} accept`, hint };
  }
  const option = before === undefined ? `-A ${chain}` : `-I ${chain}${before === 1 ? "" : ` ${before}`}`;
  return { run: `${name}${table === "filter" ? "" : ` -t ${table}`} ${option} ${test} -j ACCEPT`, hint };
}

/**
 * The guard goes by where a packet was sent to. So a rule that comes after a translation asks for that too, and one that comes
 * before routing asks whether it is for this machine.
 */
function nftTest({ protocol, first, last }: PortRange, { packet, hook }: Obstacle): string {
  const { family, local, translated, destination } = packet;
  const ports = spell(first, last, "-");
  const original = `meta l4proto ${protocol} ct original proto-dst ${ports}`;
  if (hook === "input") return isDirect(packet) ? `${protocol} dport ${ports}` : original;
  const to = destination === undefined ? "" : `${family === 4 ? "ip" : "ip6"} daddr ${destination} `;
  if (hook === "forward") return `${translated ? "ct status dnat " : ""}${to}${original}`;
  return `${to === "" && local ? "fib daddr type local " : to}${protocol} dport ${ports}`;
}

function iptablesTest({ protocol, first, last }: PortRange, { packet, hook }: Obstacle): string {
  const { local, translated, destination } = packet;
  const ports = spell(first, last, ":");
  const original = `--ctorigdstport ${ports}`;
  if (hook === "input")
    return `-p ${protocol} ${isDirect(packet) ? `--dport ${ports}` : `-m conntrack ${original}`}`;
  const to = destination === undefined ? "" : `-d ${destination} `;
  if (hook === "forward")
    return `${to}-p ${protocol} -m conntrack ${translated ? "--ctstate DNAT " : ""}${original}`;
  return `${to === "" && local ? "-m addrtype --dst-type LOCAL " : to}-p ${protocol} --dport ${ports}`;
}

/** Whether what has this port by now was sent to it. */
function isDirect({ port, sentTo, isTarget }: Packet): boolean {
  return port === sentTo && !isTarget;
}

/** What goes out is a service's answer, or a reply of Tock's own, which conntrack takes for something new. */
function answerTest({ program, packet }: Obstacle): string {
  const { state, protocol, sourcePort } = packet;
  if (state === "established")
    return program === "nft" ? "ct state established" : "-m conntrack --ctstate ESTABLISHED";
  return program === "nft" ? `${protocol} sport ${sourcePort}` : `-p ${protocol} --sport ${sourcePort}`;
}

function spell(first: number, last: number, between: "-" | ":"): string {
  return first === last ? String(first) : `${first}${between}${last}`;
}

/** The program as it is called where it is the one that the machine's alternatives name. */
function nameOf(program: string, look: Look): string {
  const own = look("iptables", "-V")?.includes("nf_tables") === true ? "-nft" : "-legacy";
  return program.endsWith(own) ? program.slice(0, -own.length) : program;
}

/** The policy that ufw sets, with no other program's rule in between. */
function isUfw({ rule, path }: Obstacle): boolean {
  return rule.startsWith("-P ") && path.some((chain) => /^ufw6?-user-input$/.test(chain));
}

/** The zone of firewalld whose chain decided, or else the last one that the packet went through. */
function zoneOf({ table, path, program, chain }: Obstacle): string | undefined {
  const isOfIt = program === "nft" ? table === "inet firewalld" : path.includes("INPUT_ZONES");
  if (!isOfIt) return undefined;
  const zones = [...path, chain].map(
    (name) => /(?:^|[ _])IN_(?!policy_)([A-Za-z0-9_-]+?)(?:_(?:pre|log|deny|allow|post))?$/.exec(name)?.[1],
  );
  return zones.findLast((zone) => zone !== undefined);
}
