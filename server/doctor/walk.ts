/** A packet from or to some stranger's address, at one place of its way, as rules see it. */
export interface Packet {
  readonly family: 4 | 6;
  readonly protocol: "tcp" | "udp";
  /** As conntrack calls it. */
  readonly state: "new" | "established";
  /** The port that it comes from; undefined = any. */
  readonly sourcePort: number | undefined;
  /** The port that it goes to by now, and the one that it was sent to; undefined = any. */
  readonly port: number | undefined;
  readonly sentTo: number | undefined;
  /** Where it goes to by now; undefined = not known. */
  readonly to: string | undefined;
  /** The address or network that a rule about such packets names; undefined = any. */
  readonly destination: string | undefined;
  /** For this machine itself. */
  readonly local: boolean;
  /** Its port by now is one that this machine leads other ports to as well. */
  readonly isTarget: boolean;
  /** Where Tock will lead it, for a service with `to`. */
  readonly lead: { readonly address: string; readonly port: number } | undefined;
  /** Its destination was translated on the way; `led`: by Tock. */
  readonly translated: boolean;
  readonly led: boolean;
  /** The interfaces that it comes in by and goes out by; undefined = not known, or none. */
  readonly from: string | undefined;
  readonly out: string | undefined;
}

/** What is so of a connection's first packet to this machine, wherever it goes. */
export const FRESH = {
  state: "new",
  sourcePort: undefined,
  local: true,
  isTarget: false,
  lead: undefined,
  translated: false,
  led: false,
  out: undefined,
} as const;

/** The flags of TCP that are set, in the order of the alphabet: those of the first packet, or of the first answer. */
export function flagsOf({ protocol, state }: Packet): readonly string[] {
  if (protocol !== "tcp") return [];
  return state === "new" ? ["syn"] : ["ack", "syn"];
}

/**
 * Whether a rule is about a packet. `some`: about that of some clients, such as those of one network. `most`: of all but some.
 * `unknown`: it asks for something that cannot be told from outside of the kernel, or that this program does not know.
 */
export type Match = "all" | "none" | "some" | "most" | "unknown";

export function is(fits: boolean): Match {
  return fits ? "all" : "none";
}

type End =
  | { readonly kind: "accept" | "drop" | "return" | "next" | "unknown" }
  | {
      readonly kind: "translate";
      readonly to: string | undefined;
      readonly port: number | undefined;
      /** Where it leads to one of several ports, which `port` does not name: the first and the last. */
      readonly range?: readonly [number, number] | undefined;
    };
export type Verdict = End | { readonly kind: "jump" | "goto"; readonly chain: string };

/** A rule in the firewall's own words, and what it says of a packet. */
export interface Rule {
  readonly text: string;
  readonly chain: string;
  /** What another rule is put in front of it by: its number in the chain, or its handle with nft. */
  readonly number: number | undefined;
  /** Ports from which on, or up to which, it may say something else than of the one before, and maybe other numbers. */
  readonly borders: () => readonly number[];
  readonly judge: (packet: Packet) => { readonly match: Match; readonly verdict: Verdict };
}

export type Chains = ReadonlyMap<string, readonly Rule[]>;

/** What becomes of a packet in a base chain: by which rule, also one that leaves it to the policy (undefined = none), and what made that unsure on the way. */
export interface Outcome {
  readonly verdict: End;
  readonly rule: Rule | undefined;
  readonly doubts: readonly Doubt[];
  /** The chains that it went through. */
  readonly path: readonly string[];
}

export interface Doubt {
  readonly rule: Rule;
  readonly match: Exclude<Match, "all" | "none">;
  /** What would become of the packet if the rule was about it. */
  readonly kind: "accept" | "drop" | "return" | "unknown";
}

function lessSure(doubt: Doubt): Doubt {
  return { ...doubt, match: doubt.match === "unknown" ? "unknown" : "some" };
}

const DEEPEST = 32;

/** Sends a packet through a base chain. */
export function walk(chains: Chains, base: string, packet: Packet): Outcome {
  const doubts: Doubt[] = [];
  const path: string[] = [];
  const through = (chain: string, depth: number): Pick<Outcome, "verdict" | "rule"> => {
    path.push(chain);
    for (const rule of depth > DEEPEST ? [] : (chains.get(chain) ?? [])) {
      const { match, verdict } = rule.judge(packet);
      if (match === "none" || verdict.kind === "next") continue;
      const isSure = match === "all" && verdict.kind !== "unknown";
      const mark = doubts.length;
      const end: Pick<Outcome, "verdict" | "rule"> =
        "chain" in verdict ? through(verdict.chain, depth + 1) : { verdict, rule };
      const { kind } = end.verdict;
      if (isSure) {
        if (kind !== "return" || verdict.kind !== "jump") return { ...end, rule: end.rule ?? rule };
        continue;
      }
      const within = doubts.splice(mark);
      const doubt = match === "all" ? "unknown" : match;
      if (verdict.kind === "return") doubts.push({ rule, match: doubt, kind: "return" });
      // What is unsure within what is unsure is about fewer packets still.
      else if (kind === "return") doubts.push(...within.map(lessSure));
      else doubts.push({ rule, match: doubt, kind: kind === "accept" || kind === "drop" ? kind : "unknown" });
    }
    return { verdict: { kind: "return" }, rule: undefined };
  };
  return { ...through(base, 0), doubts, path };
}
