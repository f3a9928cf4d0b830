import type { TimeStep } from "../../shared/brand.ts";
import type { Door } from "../core/knock-rules.ts";

/** Names that rules of the packet filter are known by. Lists of xt_recent are seen in /proc/net/xt_recent. */

/** Every chain of the walks begins with this; iptables takes 28 characters. */
export const WALK_CHAIN = "TOCKNOCK";
/** The list of whoever completed any walk: where it does not change, nothing has happened. */
export const WON_LIST = "tock-won";

/** `tock-door-ssh-30`: who came in, of both families. */
export function doorOf({ service, seconds }: Door): string {
  return `tock-door-${service}-${seconds}`;
}

/** The door that a list is, or undefined where it is none. */
export function doorNamed(list: string): { service: string; seconds: number } | undefined {
  const [, service, seconds] = /^tock-door-([a-z0-9][a-z0-9_-]{0,15})-(\d+)$/.exec(list) ?? [];
  return service === undefined ? undefined : { service, seconds: Number(seconds) };
}

/** `tock-walk-0123456789abcdef-1`: who has done the first stage, and so on; `used` and `won` once it is complete. */
export function walkList(id: string, what: number | "used" | "won"): string {
  return `tock-walk-${id}-${what}`;
}

/** Whose `won` list it is, or undefined. */
export function wonIn(list: string): string | undefined {
  return /^tock-walk-([0-9a-f]{16})-won$/.exec(list)?.[1];
}

/** Who is on any walk of a step. */
export function stepList(step: TimeStep): string {
  return `tock-step-${step}`;
}

export function stepChain(step: TimeStep): string {
  return `${WALK_CHAIN}-${step}`;
}

/** The step whose chain it is, or undefined. */
export function stepOfChain(chain: string): TimeStep | undefined {
  const [, step] = /^TOCKNOCK-(\d+)(?:-(?:\d+|w))?$/.exec(chain) ?? [];
  return step === undefined ? undefined : (Number(step) as TimeStep);
}
