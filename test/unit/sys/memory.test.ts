import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { collectGarbage, dropProgramPages, programPages } from "../../../server/sys/memory.ts";

const mapping = (head: string, anonymous: number, swap = 0): string =>
  `${head}\nSize:   2048 kB\nRss:  1024 kB\nAnonymous:  ${anonymous} kB\nSwap:  ${swap} kB\nVmFlags: rd mr mw me sd\n`;
const smaps = [
  mapping("00400000-00600000 r--p 00000000 fe:01 1234                         /opt/tock/node", 0),
  mapping("00600000-00a00000 r-xp 00200000 fe:01 1234                         /opt/tock/node", 0),
  mapping("00a00000-00b00000 r--p 00600000 fe:01 1234                         /opt/tock/node", 24),
  mapping("00b00000-00c00000 r--p 00700000 fe:01 1234                         /opt/tock/node", 0, 8),
  mapping("00c00000-00d00000 rw-p 00800000 fe:01 1234                         /opt/tock/node", 0),
  mapping("01000000-01100000 rw-p 00000000 00:00 0                            [heap]", 900),
  mapping("7f0000000000-7f0000100000 r-xp 00000000 fe:01 77                   /lib/libc.so.6", 0),
  mapping("7f0000200000-7f0000300000 r--p 00000000 00:00 0 ", 0),
].join("");

test("only pages of the program that nobody wrote to can be let go of", () => {
  expect(programPages(smaps, "/opt/tock/node")).toEqual([
    { start: 0x400000, end: 0x600000 },
    { start: 0x600000, end: 0xa00000 },
  ]);
});

test("of a mapping that the kernel says less about nothing is let go of", () => {
  expect(programPages(smaps.replaceAll(/^Anonymous:.*\n/gm, ""), "/opt/tock/node")).toEqual([]);
});

// The kernel's own figures, in a process that goes on with what it let go of.
test.runIf(process.platform === "linux")("the program goes on, and takes less memory", () => {
  const text = readFileSync("/proc/self/smaps", "utf8");
  expect(programPages(text, process.execPath).length).toBeGreaterThan(0);
  const resident = (): number =>
    Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const before = resident();
  collectGarbage();
  dropProgramPages();
  expect(resident()).toBeLessThan(before - 4096);
});
