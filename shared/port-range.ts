import { type Port, parsePort, quote } from "./brand.ts";
import { TockError } from "./errors.ts";
import { err, ok, type Result } from "./result.ts";

/** Ports of one protocol, first to last, both included. */
export interface PortRange {
  readonly protocol: "tcp" | "udp";
  readonly first: Port;
  readonly last: Port;
}

/** `tcp/22` or `udp/60000-61000`; anything else is `invalid`. */
export function parsePortRange(input: string): Result<PortRange> {
  const match = /^(tcp|udp)\/([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(input);
  const first = parsePort(match?.[2] ?? "");
  const last = parsePort(match?.[3] ?? match?.[2] ?? "");
  if (!first.ok || !last.ok || first.value > last.value) {
    const message = `ports: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got ${quote(input)}`;
    return err(new TockError("invalid", message, "for example tcp/22 or udp/60000-61000"));
  }
  return ok({ protocol: match?.[1] === "udp" ? "udp" : "tcp", first: first.value, last: last.value });
}

export function formatPortRange(range: PortRange): string {
  return `${range.protocol}/${range.first}${range.last === range.first ? "" : `-${range.last}`}`;
}

export function rangesOverlap(a: PortRange, b: PortRange): boolean {
  return a.protocol === b.protocol && a.first <= b.last && b.first <= a.last;
}
