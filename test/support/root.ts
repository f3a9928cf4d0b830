import { readFileSync } from "node:fs";
import { describe } from "vitest";

const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21 };

/** What this process lacks to make network namespaces and firewalls in them, or undefined when it lacks nothing. */
export function lacking(status: string): string | undefined {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) return "Linux";
  const set = BigInt(`0x${effective}`);
  const missing = Object.entries(CAPABILITIES).filter(([, bit]) => ((set >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) return undefined;
  return process.getuid?.() === 0 ? missing.map(([name]) => name).join(", ") : "root";
}

function ownStatus(): string {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return "";
  }
}

const lack = lacking(ownStatus());

/**
 * `describe` for tests that make network namespaces, firewalls and raw sockets.
 * Where that is not possible each of its tests is registered as skipped, by name, with what it needs.
 */
export function describeRoot(name: string, body: () => void): void {
  if (lack === undefined) describe(name, body);
  else describe.skip(`${name} [needs ${lack}]`, body);
}
