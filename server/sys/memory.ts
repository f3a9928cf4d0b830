import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { define } from "./libc.ts";

/** asm-generic/mman-common.h */
const MADV_DONTNEED = 4;
const madvise = define("int madvise(uintptr_t address, size_t length, int advice)");

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

/** Collects what the start left behind, and gives the room back. Takes some ten milliseconds: before there is work to do. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  collect({ type: "major", flavor: "last-resort" });
  trim();
}

/** malloc_trim(3), which not every libc has. */
function trim(): void {
  try {
    define("int malloc_trim(size_t pad)")(0);
  } catch {
    // The room stays with the process.
  }
}

/**
 * Lets go of pages of the program itself: what is used again comes back from the page cache. A start runs through most of
 * Node, of which a daemon then needs a fifth.
 */
export function dropProgramPages(): void {
  for (const { start, end } of programPages(ownMappings(), process.execPath)) {
    madvise(start, end - start, MADV_DONTNEED);
  }
}

/** Empty where the kernel does not tell. */
function ownMappings(): string {
  try {
    return readFileSync("/proc/self/smaps", "utf8");
  } catch {
    return "";
  }
}

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [0-9a-f]+ \S+ \d+ +(.*)$/m;

/**
 * The read-only mappings of a file in the text of /proc/PID/smaps, of which no page was ever written: only those are
 * in the file as they are in memory. What the linker has written (and then made read-only) would be lost.
 */
export function programPages(smaps: string, file: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  for (const mapping of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, start = "", end = "", path] = HEAD.exec(mapping) ?? [];
    if (path !== file || !/^Anonymous: +0 kB$/m.test(mapping) || !/^Swap: +0 kB$/m.test(mapping)) continue;
    found.push({ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) });
  }
  return found;
}
