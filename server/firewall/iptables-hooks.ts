import { WALK_CHAIN } from "../rules/names.ts";
import { type Chains, marksOf, sameMarks } from "./guard.ts";
import { CHAIN_PREFIX, GUARD_CHAIN, INPUT_CHAIN, TO_CHAIN } from "./iptables-rules.ts";
import type { Made } from "./nft-leftovers.ts";

/** Where Tock's chains hang in the tables of iptables, and what a listing says of them. */

/** A chain that the kernel calls, and the chain of Tock's that it jumps to. */
export interface Hook {
  readonly chain: "PREROUTING" | "INPUT" | "FORWARD";
  readonly entry: string;
  /** No rule before the jump may let a packet past it. */
  readonly first: boolean;
}

export const HOOKS = {
  mangle: [
    { chain: "PREROUTING", entry: GUARD_CHAIN, first: true },
    { chain: "INPUT", entry: INPUT_CHAIN, first: true },
  ],
  // What others do before these keeps a packet from another host at most.
  nat: [{ chain: "PREROUTING", entry: TO_CHAIN, first: false }],
  filter: [{ chain: "FORWARD", entry: TO_CHAIN, first: false }],
} as const satisfies Record<string, readonly Hook[]>;

export type TableName = keyof typeof HOOKS;

/** Targets after which a packet still meets the next rule, or is gone for good: before the guard they do no harm. */
const HARMLESS = new Set(
  ["CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "DROP", "DSCP", "HL", "LOG", "MARK", "NFLOG"].concat([
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TEE",
    "TOS",
    "TTL",
  ]),
);

/** What `iptables -t TABLE -S` says, as far as it concerns the guard. */
export interface Held {
  /** Comments of the rules in Tock's chains. */
  readonly marks: ReadonlyMap<string, readonly string[]>;
  /** By the chain that the kernel calls: its rules that jump to Tock's, as printed. */
  readonly jumps: ReadonlyMap<string, readonly string[]>;
  /** Where something before the first jump could let a packet past it. */
  readonly late: ReadonlySet<string>;
  /** Chains of walks of knocks, and those of them that hold a rule. */
  readonly walks: readonly string[];
  readonly ruled: ReadonlySet<string>;
}

/** A comment, or another text of somebody's, as iptables prints it: what it says is no part of the rule. */
const QUOTED = /"(?:[^"\\]|\\.)*"/g;

export function heldIn(listing: string, hooks: readonly Hook[]): Held {
  const marks = new Map<string, string[]>();
  const jumps = new Map<string, string[]>();
  const late = new Set<string>();
  const walks: string[] = [];
  const ruled = new Set<string>();
  for (const line of listing.split("\n")) {
    const [, command, chain = "", rule = ""] = /^-([NA]) (\S+) ?(.*)$/.exec(line) ?? [];
    const hook = hooks.find((each) => each.chain === chain);
    if (chain.startsWith(CHAIN_PREFIX)) {
      const list = marks.get(chain) ?? [];
      if (command === "A") list.push(/--comment "([^"]*)"/.exec(rule)?.[1] ?? "");
      marks.set(chain, list);
    } else if (chain.startsWith(WALK_CHAIN)) {
      if (command === "N") walks.push(chain);
      else ruled.add(chain);
    } else if (hook !== undefined && rule !== "") {
      const target = /(?:^| )-([jg]) (\S+)/.exec(rule.replace(QUOTED, '""'));
      const isHarmless = target?.[1] === "j" && HARMLESS.has(target[2] ?? "");
      if (target?.[2] === hook.entry) jumps.set(chain, [...(jumps.get(chain) ?? []), rule]);
      else if (hook.first && !jumps.has(chain) && target && !isHarmless) late.add(chain);
    }
  }
  return { marks, jumps, late, walks, ruled };
}

/** Nothing of Tock's is there but chains of walks, which are left alone. */
export function isBare({ jumps, marks }: Held): boolean {
  return jumps.size === 0 && marks.size === 0;
}

/** Whether what is there is these chains, each called from where it should be. */
export function isWhole(hooks: readonly Hook[], held: Held, chains: Chains): boolean {
  return hooks.every((hook) => isInPlace(hook, held, chains)) && sameMarks(held.marks, marksOf(chains));
}

function isInPlace({ chain, entry }: Hook, { jumps, late }: Held, chains: Chains): boolean {
  const count = jumps.get(chain)?.length ?? 0;
  return chains.has(entry) ? count === 1 && !late.has(chain) : count === 0;
}

/** One transaction that makes the table hold these chains. `made`: see {@link madeOf}. */
export function putLines(
  hooks: readonly Hook[],
  chains: Chains,
  held: Held,
  made: ReadonlyMap<string, Made>,
): string[] {
  const marks = marksOf(chains);
  const stale = [...held.marks.keys()].filter((name) => !chains.has(name));
  const leadsToWalks = [...chains.values()].flat().some((rule) => rule.endsWith(`-j ${WALK_CHAIN}`));
  const leftWalks = leadsToWalks ? [] : held.walks;
  return [
    ...(leadsToWalks && !held.walks.includes(WALK_CHAIN) ? [`-N ${WALK_CHAIN}`] : []),
    ...[...chains.keys(), ...stale].map((name) => `:${name} - [0:0]`),
    ...[...chains].flatMap(([name, rules]) =>
      rules.map(
        (rule, index) => `-A ${name} ${rule} -m comment --comment "${marks.get(name)?.[index] ?? ""}"`,
      ),
    ),
    ...hooks
      .filter((hook) => !isInPlace(hook, held, chains))
      .flatMap(({ chain, entry }) => [
        ...(held.jumps.get(chain) ?? []).map((jump) => `-D ${chain} ${jump}`),
        ...(chains.has(entry) ? [`-I ${chain} 1 ${commentOf(made.get(chain))} -j ${entry}`] : []),
      ]),
    ...leftWalks.map((name) => `-F ${name}`),
    ...[...stale, ...leftWalks].map((name) => `-X ${name}`),
  ];
}

/** One transaction that takes out everything of Tock's. */
export function removeLines({ jumps, marks, walks }: Held): string[] {
  const names = [...marks.keys(), ...walks];
  return [
    ...[...jumps].flatMap(([chain, list]) => list.map((jump) => `-D ${chain} ${jump}`)),
    ...names.map((name) => `-F ${name}`),
    ...names.map((name) => `-X ${name}`),
  ];
}

function commentOf(made: Made = "nothing"): string {
  return `-m comment --comment "tock${made === "nothing" ? "" : ` made ${made}`}"`;
}

/** What was made beside the jump, as its comment remembers it. */
export function madeOf(jump: string | undefined): Made {
  const [, made] = /--comment "tock made (table|chain)"/.exec(jump ?? "") ?? [];
  return made === "table" || made === "chain" ? made : "nothing";
}
