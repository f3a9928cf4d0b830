import { type Chains, flagsOf, is, type Match, type Packet, type Rule, type Verdict } from "./walk.ts";
import { CHAIN_PREFIX, TO_CHAIN } from "../firewall/iptables-rules.ts";
import { within } from "./networks.ts";

/** One table of what iptables-save prints. */
export interface Table {
  readonly chains: Chains;
  /** Of the built-in chains. */
  readonly policies: ReadonlyMap<string, string>;
}

/** Reads what iptables-save prints: its tables by name. */
export function readIptables(saved: string): ReadonlyMap<string, Table> {
  const tables = new Map<string, { chains: Map<string, Rule[]>; policies: Map<string, string> }>();
  let table = { chains: new Map<string, Rule[]>(), policies: new Map<string, string>() };
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) {
      table = { chains: new Map(), policies: new Map() };
      tables.set(line.slice(1), table);
    }
    const [, chain = "", policy = ""] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (chain !== "") table.chains.set(chain, []);
    if (policy !== "" && policy !== "-") table.policies.set(chain, policy);
    const [, name = ""] = /^-A (\S+)/.exec(line) ?? [];
    const rules = table.chains.get(name);
    rules?.push({ ...ruleOf(line, name), number: rules.length + 1 });
  }
  return tables;
}

type Test = (packet: Packet) => Match;

const ALWAYS: Test = () => "all";
const NEVER: Test = () => "none";
const SOME: Test = () => "some";
const UNKNOWN: Test = () => "unknown";
/** Targets that end a packet's way through the table. What is not here and no chain either only looks or marks. */
const ENDS: Readonly<Record<string, Verdict["kind"]>> = {
  ACCEPT: "accept",
  DROP: "drop",
  REJECT: "drop",
  TARPIT: "drop",
  RETURN: "return",
  QUEUE: "unknown",
  NFQUEUE: "unknown",
  TPROXY: "unknown",
  SYNPROXY: "unknown",
};
const GOES_ON =
  /^(AUDIT|CHECKSUM|CLASSIFY|CONNMARK|CONNSECMARK|CT|DSCP|ECN|HL|HMARK|LOG|MARK|NFLOG|NOTRACK|RATEEST|SECMARK|SET|TCPMSS|TCPOPTSTRIP|TEE|TOS|TRACE|TTL|ULOG)$/;

/**
 * Options of matches, each with the test of its value. An option of a match that holds for single
 * clients, or for a time, makes the rule one about some; what is not here makes it one that cannot be told.
 */
const OPTIONS: Readonly<Record<string, (value: string) => Test>> = {
  "-p": (value) => (packet) => is(value === packet.protocol || value === "all"),
  "-s": (value) => (value.endsWith("/0") ? ALWAYS : SOME),
  "-d": (value) => (packet) => (packet.to === undefined ? "some" : is(within(packet.to, value))),
  "-i": (value) => (packet) => named(packet.from, value),
  "-o": (value) => (packet) => named(packet.out, value),
  "--dport": (value) => (packet) => inPorts(packet.port, value),
  "--dports": (value) => (packet) => inPorts(packet.port, value),
  "--ports": (value) => (packet) => (inPorts(packet.port, value) === "all" ? "all" : "some"),
  "--sport": (value) => (packet) => inPorts(packet.sourcePort, value),
  "--sports": (value) => (packet) => inPorts(packet.sourcePort, value),
  "--ctstate": (value) => (packet) =>
    is(
      value
        .split(",")
        .some((state) => state === packet.state.toUpperCase() || (state === "DNAT" && packet.translated)),
    ),
  "--state": (value) => (packet) => is(value.split(",").includes(packet.state.toUpperCase())),
  "--ctstatus": (value) => () => is(value === "NONE"),
  "--ctdir": (value) => () => is(value === "ORIGINAL"),
  "--ctorigdstport": (value) => (packet) => inPorts(packet.sentTo, value),
  "--ctproto": (value) => (packet) =>
    is(value === packet.protocol || value === (packet.protocol === "tcp" ? "6" : "17")),
  "--dst-type": (value) => (packet) => is(value.split(",").includes(packet.local ? "LOCAL" : "UNICAST")),
  "--src-type": (value) => () => is(value.split(",").includes("UNICAST")),
  "--pkt-type": (value) => () => is(value === "unicast"),
  // A client that comes for the first time is over no limit and on no list.
  "--limit": () => ALWAYS,
  "--hashlimit-upto": () => ALWAYS,
  "--hashlimit-above": () => NEVER,
  "--connlimit-upto": () => ALWAYS,
  "--connlimit-above": () => NEVER,
  "--set": () => ALWAYS,
  "--update": () => NEVER,
  "--rcheck": () => NEVER,
  "--remove": () => NEVER,
  // An ordinary packet has no such headers and comes by no such way.
  "--rt-type": () => NEVER,
  "--header": () => NEVER,
  "--invert": () => NEVER,
  "--transparent": () => NEVER,
  "--physdev-is-bridged": () => NEVER,
  "-f": () => NEVER,
  "--pol": (value) => () => is(value === "none"),
  "--uid-owner": () => SOME,
  "--match-set": () => SOME,
  "--src-range": () => SOME,
  "--mac-source": () => SOME,
  "--source-country": () => SOME,
  "--src-cc": () => SOME,
};
/** Matches that are about a time or a chance, whatever their options. */
const SOMETIMES = new Set(["time", "statistic"]);
/** Options that only say more of what another one asks for. */
const DETAILS =
  /^--(limit-burst|hashlimit-(?!upto|above).*|connlimit-(?!upto|above).*|name|rsource|rdest|mask|seconds|hitcount|reap|rttl|limit-iface-in|loose|validmark|accept-local|dir|update-(sub)?counters|return-nomatch)$/;
const TAKES_NOTHING =
  /^--(set|update|rcheck|remove|rsource|rdest|reap|rttl|limit-iface-in|syn|invert|loose|validmark|accept-local|transparent|physdev-is-bridged|connlimit-[sd]addr|return-nomatch|update-(sub)?counters)$/;

function ruleOf(line: string, chain: string): Omit<Rule, "number"> {
  const words = (line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? []).slice(2);
  const tests: Test[] = [];
  let verdict: Verdict = { kind: "next" };
  let match = "";
  let negated = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const value = words[at + 1] ?? "";
    if (word === "!") negated = true;
    else if (word === "-m") {
      match = value;
      if (SOMETIMES.has(match)) tests.push(SOME);
      at++;
      // Whatever it says, also where it looks like an option.
      if (match === "comment") at += 2;
    } else if (word === "-j" || word === "-g") {
      verdict = targetOf(word, value, words.slice(at + 2));
      // The one place where Tock accepts for the machine's own firewall.
      if (value === TO_CHAIN) tests.push((packet) => is(packet.led && chain === "FORWARD"));
      break;
    } else {
      const test = testOf(word, value, words[at + 2] ?? "", match);
      if (test !== undefined) tests.push(negated ? not(test) : test);
      negated = false;
      // The value of an option that is not known may be several words, or none.
      while (
        words[at + 1] !== undefined &&
        words[at + 1] !== "!" &&
        words[at + 1]?.startsWith("-") === false &&
        !TAKES_NOTHING.test(word)
      )
        at++;
    }
  }
  return {
    text: line,
    chain,
    borders: () => bordersIn(line),
    judge: (packet) => ({ match: all(tests, packet), verdict }),
  };
}

function bordersIn(line: string): number[] {
  const values = [...line.matchAll(/--(?:dports?|ports|ctorigdstport) (\S+)/g)].map(
    ([, value = ""]) => value,
  );
  return values.flatMap((value) => value.split(/[,:]/).map(Number));
}

function testOf(word: string, value: string, second: string, match: string): Test | undefined {
  if (SOMETIMES.has(match) || DETAILS.test(word)) return undefined;
  if (word === "--syn") return flagged("FIN,SYN,RST,ACK", "SYN");
  if (word === "--tcp-flags") return flagged(value, second);
  if (word === "--set" && match !== "recent") return UNKNOWN;
  return OPTIONS[word]?.(value) ?? UNKNOWN;
}

function targetOf(option: string, target: string, rest: readonly string[]): Verdict {
  const kind = ENDS[target];
  if (kind !== undefined) return { kind } as Verdict;
  if (GOES_ON.test(target)) return { kind: "next" };
  if (target === "DNAT" || target === "REDIRECT") {
    const value = rest[rest.findIndex((word) => /^--to-(destination|ports)$/.test(word)) + 1] ?? "";
    const [, to = "", port = ""] =
      target === "REDIRECT"
        ? ["", "", value]
        : (/^\[?([0-9a-f.:]*?)\]?(?::([\d-]+)(?:\/\d+)?)?$/i.exec(value) ?? []);
    const [first, last] = /^\d+(-\d+)?$/.test(port) ? port.split("-").map(Number) : [];
    const range = first === undefined || last === undefined ? undefined : ([first, last] as const);
    return { kind: "translate", to: to || undefined, port: range ? undefined : first, range };
  }
  if (target === TO_CHAIN) return { kind: "accept" };
  // The guard is not the machine's own firewall.
  if (target.startsWith(CHAIN_PREFIX)) return { kind: "next" };
  if (/^(MASQUERADE|SNAT|NETMAP)$/.test(target)) return { kind: "unknown" };
  return { kind: option === "-g" ? "goto" : "jump", chain: target };
}

/** What every test says; the least sure of them counts. */
export function all(tests: readonly Test[], packet: Packet): Match {
  const matches = tests.map((test) => test(packet));
  return (["none", "unknown", "some", "most"] as const).find((match) => matches.includes(match)) ?? "all";
}

export function not(test: Test): Test {
  const opposite = { all: "none", none: "all", some: "most", most: "some", unknown: "unknown" } as const;
  return (packet) => opposite[test(packet)];
}

function named(name: string | undefined, pattern: string): Match {
  if (pattern === "+") return "all";
  if (name === undefined) return pattern === "lo" ? "none" : "some";
  return is(pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : name === pattern);
}

function inPorts(port: number | undefined, ranges: string): Match {
  if (port === undefined) return "some";
  return is(
    ranges.split(",").some((range) => {
      const [first = "", last = first] = range.split(":");
      return Number(first) <= port && port <= Number(last);
    }),
  );
}

/** The flags that are looked at, and those of them that are set. */
function flagged(mask: string, wanted: string): Test {
  const listed = (value: string): string[] => (value === "NONE" ? [] : value.split(","));
  const looked = (flag: string): boolean => mask === "ALL" || listed(mask).includes(flag);
  return (packet) => {
    const set = flagsOf(packet).filter((flag) => looked(flag.toUpperCase()));
    return is(set.join().toUpperCase() === listed(wanted).toSorted().join());
  };
}
