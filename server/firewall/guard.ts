import { createHash } from "node:crypto";
import type { ServiceName } from "../../shared/brand.ts";
import { type Network, parseNetwork } from "../../shared/address.ts";
import type { GuardPlan, Trial, Width } from "../core/firewall.ts";
import type { Target } from "../core/target.ts";
import type { PortRange } from "../core/grant.ts";
import type { Door } from "../core/knock-rules.ts";

/**
 * What both kernel backends say in their own language, in this order. "passes" means that the guard has no objection;
 * the machine's own firewall still has its say.
 *
 * 0. Where the guard is on trial: everything passes before and after its time. So it ends though nobody is left to end it.
 * 1. Loopback passes. 2. What is not addressed to this machine passes. Where a service asks for it (`forward`), a port of it is
 *    looked at as in 4, 6 and 7, and so is what a host behind this machine sends from it that belongs to no connection. The latter
 *    goes for hosts that a service leads to as well.
 * 3. The SPA port is dropped. Even what belongs to a known flow: Tock's own reply would make it one.
 * 4. Packets of established connections pass. 5. The knock range is dropped, after a look at the walks if the kernel follows knocks.
 * 6. Sources that never need a grant pass, where the owner names any. So this holds without a daemon, too.
 * 7. A service's port: sources in the service's sets pass, anything else is dropped.
 *
 * Where a service leads to another host (`to`), three more rules do it, each of which ends with a trial too:
 *
 * 8. Before routing, for the same sources as in 6 and 7, the address becomes the other host's. It looks them up by itself, without
 *    counting: so it leads no stranger anywhere when somebody takes the guard away.
 * 9. What arrives at this machine's own port all the same is dropped: nobody meant it for this machine.
 * 10. With iptables, what was led is accepted on its way through. It is the one place where Tock accepts for the machine's own firewall,
 *    since others have the policy that nothing is forwarded. (No rule of nftables overrules another table's drop.)
 *
 * RELATED is not let past the guard: a protected port is opened by a grant, never by a conntrack helper. (ICMP errors have no port
 * and are none of the guard's business.) INVALID and untracked packets are not ESTABLISHED, so they are dropped too.
 */
export interface Shape {
  readonly trial: Trial | undefined;
  readonly spa: Ports;
  readonly silent: Ports;
  /** None of them lies within another. */
  readonly allow: Readonly<Record<4 | 6, readonly string[]>>;
  readonly services: readonly ServiceShape[];
  readonly widths: readonly Width[];
  /** Where the kernel follows knocks: what counts as one, and what they open. */
  readonly walk: { readonly ports: Ports; readonly doors: readonly Door[] } | undefined;
}

export interface ServiceShape {
  readonly name: ServiceName;
  readonly ports: Ports;
  /** Where its ports are guarded on other hosts too, by family; undefined = nowhere. */
  readonly forward: Readonly<Record<4 | 6, "anywhere" | readonly string[]>> | undefined;
  /** Other hosts that its port leads to. */
  readonly to: readonly Target[];
}

/** First and last ports, in order, merged where they touch. */
export interface Ports {
  readonly tcp: readonly Span[];
  readonly udp: readonly Span[];
}

export type Span = readonly [first: number, last: number];

/** Rules by chain, in order, each in the backend's own words. */
export type Chains = ReadonlyMap<string, readonly string[]>;

/** The plan as the backends render it. A silent UDP range of a single port is the SPA port. */
export function shapeOf(plan: GuardPlan): Shape {
  const isSpa = (range: PortRange): boolean => range.protocol === "udp" && range.first === range.last;
  return {
    trial: plan.trial,
    spa: portsOf(plan.silent.filter(isSpa)),
    silent: portsOf(plan.silent.filter((range) => !isSpa(range))),
    allow: networksOf(plan.allow ?? []),
    services: plan.services.map(({ name, ports, forward, to = [] }) => ({
      name,
      ports: portsOf(ports),
      forward: forward === true ? { 4: "anywhere", 6: "anywhere" } : forward && networksOf(forward),
      to,
    })),
    widths: plan.widths ?? [],
    walk: plan.walk && { ports: portsOf(plan.walk.ranges), doors: plan.walk.doors },
  };
}

/** Other hosts of one family that ports lead to. */
export function targetsOf({ services }: Shape, family: 4 | 6): Target[] {
  return services.flatMap(({ to }) => to.filter((target) => target.family === family));
}

/** By family, none within another. What is no network is left out. */
function networksOf(texts: readonly string[]): Record<4 | 6, readonly string[]> {
  const all = [...new Set(texts)].flatMap((text) => {
    const network = parseNetwork(text);
    return network.ok ? [network.value] : [];
  });
  const isWithin = (inner: Network, outer: Network): boolean =>
    outer.prefix < inner.prefix && outer.contains(inner.address);
  const apart = all.filter((each) => !all.some((other) => isWithin(each, other)));
  const ofFamily = (family: 4 | 6): string[] =>
    apart.filter(({ address }) => address.family === family).map(String);
  return { 4: ofFamily(4), 6: ofFamily(6) };
}

/**
 * A mark for each rule, kept in the kernel as the rule's comment: the plan's fingerprint, the rule's number, and how many there are.
 * So any process can tell whether the guard in the kernel is whole and is this plan's.
 */
export function marksOf(chains: Chains): Map<string, string[]> {
  const all = [...chains.values()].reduce((sum, rules) => sum + rules.length, 0);
  const print = createHash("sha256")
    .update(JSON.stringify([...chains]))
    .digest("hex")
    .slice(0, 8);
  let number = 0;
  return new Map(
    [...chains].map(([chain, rules]) => [chain, rules.map(() => `tock ${print} ${++number}/${all}`)]),
  );
}

/** Whether two sets of chains hold the same marks in the same order. */
export function sameMarks(
  held: ReadonlyMap<string, readonly string[]>,
  wanted: ReadonlyMap<string, readonly string[]>,
): boolean {
  return (
    held.size === wanted.size &&
    [...wanted].every(([chain, marks]) => JSON.stringify(held.get(chain)) === JSON.stringify(marks))
  );
}

function portsOf(ranges: readonly PortRange[]): Ports {
  const spans = (protocol: "tcp" | "udp"): Span[] => {
    const sorted = ranges
      .filter((range) => range.protocol === protocol)
      .map(({ first, last }): Span => [first, last])
      .sort((a, b) => a[0] - b[0]);
    const merged: Span[] = [];
    for (const span of sorted) {
      const before = merged.at(-1);
      if (before === undefined || span[0] > before[1] + 1) merged.push(span);
      else merged[merged.length - 1] = [before[0], Math.max(before[1], span[1])];
    }
    return merged;
  };
  return { tcp: spans("tcp"), udp: spans("udp") };
}
