import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Address, parseAddress } from "../../shared/address.ts";

/** Lists of xt_recent, through /proc/net/xt_recent of this network namespace (net/netfilter/xt_recent.c). */
const FOLDER = "/proc/self/net/xt_recent";

/** One line of a list. */
export interface RecentEntry {
  readonly source: Address;
  /** Of the last packet that was counted, in the kernel's jiffies: good for nothing but to see that there was another. */
  readonly stamp: string;
}

/** The names of all lists; none where the kernel has none. */
export function recentNames(): string[] {
  try {
    return readdirSync(FOLDER);
  } catch {
    return [];
  }
}

/** A list as the kernel prints it; empty where it is not there. */
export function readRecent(name: string): string {
  try {
    return readFileSync(`${FOLDER}/${name}`, "latin1");
  } catch {
    return "";
  }
}

export function parseRecent(text: string): RecentEntry[] {
  return text.split("\n").flatMap((line) => {
    const [, address = "", stamp = ""] = /^src=(\S+) .*last_seen: (\d+) /.exec(line) ?? [];
    const source = parseAddress(address);
    return source.ok ? [{ source: source.value, stamp }] : [];
  });
}

/** Puts an address in (`+`), as if a packet had come from it, or takes it out (`-`). False where the list is not there. */
export function writeRecent(name: string, what: "+" | "-", address: string): boolean {
  try {
    writeFileSync(`${FOLDER}/${name}`, `${what}${address}\n`, { flag: "r+" });
    return true;
  } catch {
    return false;
  }
}

/** Addresses that a list can hold: xt_recent's ip_list_tot, which cannot be changed while it is loaded. */
export function recentRoom(): number {
  try {
    return Number(readFileSync("/sys/module/xt_recent/parameters/ip_list_tot", "latin1")) || 100;
  } catch {
    return 100;
  }
}
