import { readFileSync } from "node:fs";

const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21 };

/**
 * What a process lacks to make network namespaces and firewalls in them, or undefined when it lacks nothing.
 * `status` is the text of its /proc/PID/status, empty where there is none.
 */
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

/** What this process lacks. All of test/e2e and test/web is skipped for it. */
export const lack: string | undefined = lacking(ownStatus());
