import type { StepWalks } from "../core/knock-rules.ts";
import { marksOf, type Shape } from "../firewall/guard.ts";
import { GUARD_CHAIN, iptablesChains } from "../firewall/iptables-rules.ts";
import { nftScript } from "../firewall/nft-rules.ts";
import { stepChain, WALK_CHAIN } from "./names.ts";
import { nftJumps, nftStep } from "./nft.ts";
import { type Protocol, recentChains, walkJumps } from "./recent.ts";
import { iptablesFilter, nftFilter, type Icmp } from "./standalone.ts";

export const FORMATS = ["iptables-restore", "ip6tables-restore", "nft"] as const;
export type Format = (typeof FORMATS)[number];

/** What a printed ruleset is made of. */
export interface Printed {
  readonly format: Format;
  readonly shape: Shape;
  readonly protocols: readonly Protocol[];
  readonly steps: readonly StepWalks[];
  /** Lines for the head, without the `#`. */
  readonly head: readonly string[];
  /** Undefined = rules to be added to what there is; else a whole default-drop ruleset. */
  readonly standalone: Icmp | undefined;
}

/** A whole ruleset as text, with comments. Pure: the same input gives the same text. */
export function printRules(printed: Printed): string {
  const lines = printed.format === "nft" ? nftLines(printed) : iptablesLines(printed);
  return `${[...printed.head.map(comment), ...lines].join("\n")}\n`;
}

function iptablesLines({ format, shape, protocols, steps, standalone }: Printed): string[] {
  const family = format === "iptables-restore" ? 4 : 6;
  const guard = iptablesChains(shape, family);
  const marks = marksOf(guard);
  const walks = steps.map((step) => recentChains(step, family, protocols));
  const entry = walkJumps(steps);
  const names = [guard, entry, ...walks].flatMap((chains) => [...chains.keys()]);
  return [
    "*mangle",
    ...names.map((name) => `:${name} - [0:0]`),
    ...[...guard].flatMap(([chain, rules]) => [
      "",
      comment(aboutChain(chain)),
      ...rules.map(
        (rule, index) => `-A ${chain} ${rule} -m comment --comment "${marks.get(chain)?.[index] ?? ""}"`,
      ),
    ]),
    "",
    comment(
      "knocks: to the steps that are valid now; the kernel's clock (UTC) begins and ends each by itself",
    ),
    ...[...entry].flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
    ...steps.flatMap((step, index) => stepLines(step, walks[index] ?? new Map())),
    "",
    comment("every packet to this machine meets the guard before anything else of this table"),
    `-I PREROUTING 1 -m comment --comment "tock" -j ${GUARD_CHAIN}`,
    "COMMIT",
    ...(standalone === undefined ? [] : ["", ...iptablesFilter(shape, family, standalone)]),
  ];
}

function stepLines(step: StepWalks, chains: ReadonlyMap<string, readonly string[]>): string[] {
  const chain = stepChain(step.step);
  return [
    "",
    comment(`step ${step.step}: ${moment(step.from)} to ${moment(step.until)}`),
    ...[chain, `${chain}-w`].flatMap((name) => (chains.get(name) ?? []).map((rule) => `-A ${name} ${rule}`)),
    ...step.walks.flatMap(({ device, slot }, index) => [
      comment(
        `${device}${slot === "current" ? "" : ` (${slot} secret)`}: last port, stages, the same port again, wrong port, first port`,
      ),
      ...(chains.get(`${chain}-${index}`) ?? []).map((rule) => `-A ${chain}-${index} ${rule}`),
    ]),
  ];
}

function nftLines({ shape, steps, standalone }: Printed): string[] {
  const guard = nftScript(shape, { awake: false, misplaced: [], staleChains: [], staleSets: [] });
  return [
    ...(standalone === undefined ? [] : ["flush ruleset", ""]),
    comment("the guard: what it protects opens for the addresses in the sets of its service alone"),
    ...guard.trimEnd().split("\n"),
    ...steps.flatMap((step) => [
      "",
      comment(`step ${step.step}: ${moment(step.from)} to ${moment(step.until)}`),
      comment(`devices: ${[...new Set(step.walks.map(({ device }) => device))].join(", ") || "none"}`),
      ...nftStep(step),
    ]),
    "",
    comment("knocks: to the steps that are valid now; the kernel's clock begins and ends each by itself"),
    ...nftJumps(steps),
    ...(standalone === undefined ? [] : ["", ...nftFilter(shape, standalone)]),
  ];
}

function aboutChain(chain: string): string {
  if (chain === GUARD_CHAIN) {
    return "the guard: loopback, other machines' traffic and established connections pass; the SPA port and the knock range are dropped; services have chains of their own; everything else is left alone";
  }
  if (chain === WALK_CHAIN) return "knocks";
  return `the service ${chain.replace(/^TOCK-/, "")}: open for whoever came in not long ago, dropped for everybody else`;
}

export function moment(millis: number): string {
  return `${new Date(millis).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function comment(text: string): string {
  return text === "" ? "#" : `# ${text}`;
}
