import type { Argv } from "./exec.ts";
import type { Host } from "./host.ts";

/** What nmap says of one port: its state, and the packet (or silence) that it concludes that from. */
export interface ScannedPort {
  readonly state: string;
  readonly reason: string;
}

export interface Scan {
  /** -sS, -sT, -sU, -sA … */
  readonly kind: string;
  /** As nmap's -p takes it: `22,80,1000-1010`. */
  readonly ports: string;
  readonly extra?: readonly string[];
  /** Milliseconds. */
  readonly timeout?: number;
}

/** Runs nmap on a host and gives each port's state, keyed `tcp/22`. */
export async function nmap(host: Host, target: string, scan: Scan): Promise<Map<string, ScannedPort>> {
  const family = target.includes(":") ? ["-6"] : [];
  const pace = ["-n", "-Pn", "-T4", "--max-retries", "1", "--max-rtt-timeout", "200ms"];
  const argv: Argv = [
    "nmap",
    ...family,
    ...pace,
    scan.kind,
    "-p",
    scan.ports,
    ...(scan.extra ?? []),
    "-oX",
    "-",
    target,
  ];
  const { timeout = 60_000 } = scan;
  return parseNmap(await host.must(argv, { timeout }));
}

/** nmap's XML: the ports it lists, and those it sums up in `extraports`. */
export function parseNmap(xml: string): Map<string, ScannedPort> {
  const ports = new Map<string, ScannedPort>();
  for (const [, attributes = "", inner = ""] of xml.matchAll(/<port ([^>]*)>(.*?)<\/port>/gs)) {
    const state = /<state ([^>]*)\/>/.exec(inner)?.[1] ?? "";
    const key = `${attribute(attributes, "protocol")}/${attribute(attributes, "portid")}`;
    ports.set(key, { state: attribute(state, "state"), reason: attribute(state, "reason") });
  }
  for (const [, state = "", inner = ""] of xml.matchAll(
    /<extraports state="([^"]*)"[^>]*>(.*?)<\/extraports>/gs,
  )) {
    for (const [, reasons = ""] of inner.matchAll(/<extrareasons ([^>]*)\/>/g)) {
      for (const port of expand(attribute(reasons, "ports"))) {
        ports.set(`${attribute(reasons, "proto")}/${port}`, { state, reason: attribute(reasons, "reason") });
      }
    }
  }
  return ports;
}

function attribute(text: string, name: string): string {
  return new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(text)?.[1] ?? "";
}

function expand(ranges: string): number[] {
  return ranges.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
