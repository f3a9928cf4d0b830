import {
  appendFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, test } from "vitest";
import { eventually } from "../../lab/wait.ts";
import { readTrail, verifyTrail } from "../../../server/store/audit-read.ts";
import { AuditTrail, type TrailOptions } from "../../../server/store/audit-trail.ts";
import { headFile, type TrailLine, trailFile } from "../../../server/store/trail-file.ts";
import { NOON, scratch } from "../../support/tockd.ts";

const told: string[] = [];
const openTrail = (folder: string, more: Partial<TrailOptions> = {}): AuditTrail =>
  new AuditTrail({ folder, now: () => NOON, tell: (message) => told.push(message), ...more });

/** A trail of lines with the given names, closed. */
async function write(
  folder: string,
  names: readonly string[],
  more: Partial<TrailOptions> = {},
): Promise<void> {
  const trail = openTrail(folder, more);
  for (const name of names) {
    trail.append({ kind: "granted", device: `alice/${name}` });
    await trail.flush();
  }
  await trail.close();
}

async function linesOf(folder: string): Promise<TrailLine[]> {
  const lines: TrailLine[] = [];
  for await (const line of readTrail(folder)) lines.push(line);
  return lines;
}

const names = ["a", "b", "c", "d", "e", "f"];
const rewrite = (file: string, change: (lines: string[]) => string[]): void => {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  writeFileSync(file, `${change(lines).join("\n")}\n`);
};

describe("the audit trail", () => {
  test("keeps every line, in order, in files that only the owner can read", async () => {
    const folder = scratch();
    await write(folder, names);
    const lines = await linesOf(folder);
    expect(lines.map(({ seq, at, device }) => [seq, at, device])).toEqual(
      names.map((name, index) => [index + 1, "2026-11-22T12:00:00.000Z", `alice/${name}`]),
    );
    for (const file of [trailFile(folder, 0), headFile(folder)])
      expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await verifyTrail(folder)).toMatchObject({ lines: 6, first: 1, last: 6, problems: [] });
  });

  test("goes on where another process left it, and takes any text", async () => {
    const folder = scratch();
    await write(folder, ["a"]);
    await write(folder, ['\u2028é\n"', "c"]);
    expect((await linesOf(folder)).map(({ device }) => device)).toEqual([
      "alice/a",
      'alice/\u2028é\n"',
      "alice/c",
    ]);
    expect((await verifyTrail(folder)).problems).toEqual([]);
  });

  test("writes by itself what comes, soon after", async () => {
    const folder = scratch();
    const trail = new AuditTrail({ folder, now: Date.now, tell: () => undefined, gather: 1 });
    for (const name of ["a", "b"]) {
      trail.append({ kind: "granted", device: `alice/${name}` });
      await eventually(
        "it is written",
        async () => (await linesOf(folder)).at(-1)?.["device"] === `alice/${name}`,
      );
    }
    await trail.close();
  });

  test("goes on by itself after its head could not be written", async () => {
    const folder = scratch();
    symlinkSync("nothing", headFile(folder));
    const told: string[] = [];
    const tell = (message: string): void => void told.push(message);
    const trail = new AuditTrail({ folder, now: Date.now, tell, gather: 1, retry: 1 });
    trail.append({ kind: "granted", device: "alice/a" });
    await eventually("it is told", () => told.length === 1);
    rmSync(headFile(folder));
    for (const name of ["b", "c"]) {
      trail.append({ kind: "granted", device: `alice/${name}` });
      await eventually(
        "it is written",
        async () => (await linesOf(folder)).at(-1)?.["device"] === `alice/${name}`,
      );
    }
    await trail.close();
    expect((await verifyTrail(folder)).problems).toEqual([]);
    expect(told.at(-1)).toMatch(/it is written again/);
  });

  test("rotates by size, keeps so many files, and carries the chain over", async () => {
    const folder = scratch();
    await write(
      folder,
      Array.from({ length: 40 }, (_, index) => `n${index}`),
      { fileBytes: 400, files: 3 },
    );
    expect([1, 2, 3].map((number) => existsSync(trailFile(folder, number)))).toEqual([true, true, false]);
    const { first, last, lines, problems } = await verifyTrail(folder);
    expect(problems).toEqual([]);
    expect(first).toBeGreaterThan(1);
    expect([last, lines]).toEqual([40, 41 - first]);
    rmSync(trailFile(folder, 2));
    expect((await verifyTrail(folder)).problems.join()).toMatch(/are gone from the beginning/);
  });

  test.each<[string, (file: string) => void, RegExp]>([
    [
      "a line taken out",
      (file) => rewrite(file, (lines) => lines.toSpliced(2, 1)),
      /line 2 is followed by line 4/,
    ],
    [
      "the last lines taken out",
      (file) => rewrite(file, (lines) => lines.slice(0, -2)),
      /lines 5 to 6 are gone from the end/,
    ],
    ["everything taken out", (file) => writeFileSync(file, ""), /lines 1 to 6 are gone from the end/],
    [
      "the first line taken out",
      (file) => rewrite(file, (lines) => lines.slice(1)),
      /lines 1 to 1 are gone from the beginning/,
    ],
    [
      "a line changed",
      (file) => rewrite(file, (lines) => lines.map((line) => line.replace("alice/c", "mallo/c"))),
      /line 4 does not follow from the line before it/,
    ],
    [
      "the last line changed",
      (file) => rewrite(file, (lines) => lines.map((line) => line.replace("alice/f", "mallo/f"))),
      /line 6 is not the one that was written/,
    ],
    ["a line put in", (file) => appendFileSync(file, "hello\n"), /"hello" is no line of a trail/],
    [
      "the head taken away",
      (file) => rmSync(file.replace("jsonl", "head")),
      /audit.head is missing or damaged/,
    ],
  ])("shows %s", async (_, damage, problem) => {
    const folder = scratch();
    await write(folder, names);
    damage(trailFile(folder, 0));
    expect((await verifyTrail(folder)).problems.join("\n")).toMatch(problem);
  });

  test("a line cut short by a crash is told in a line of its own, and the chain goes on", async () => {
    const folder = scratch();
    await write(folder, ["a", "b"]);
    appendFileSync(trailFile(folder, 0), '{"seq":3,"at":"2026');
    told.length = 0;
    await write(folder, ["c"]);
    expect(told.join()).toMatch(/cut short; 19 bytes/);
    const lines = await linesOf(folder);
    expect(lines.map(({ kind }) => kind)).toEqual(["granted", "granted", "audit-torn", "granted"]);
    expect(lines[2]).toMatchObject({ bytes: 19, text: '{"seq":3,"at":"2026' });
    expect((await verifyTrail(folder)).problems).toEqual([]);
  });

  test("what a write left behind that failed halfway goes before the next one", async () => {
    const folder = scratch();
    const trail = openTrail(folder);
    trail.append({ kind: "granted", device: "alice/a" });
    await trail.flush();
    appendFileSync(trailFile(folder, 0), "x".repeat(1000));
    trail.append({ kind: "granted", device: "alice/b" });
    await trail.close();
    expect((await verifyTrail(folder)).problems).toEqual([]);
    expect((await linesOf(folder)).map(({ device }) => device)).toEqual(["alice/a", "alice/b"]);
  });

  test("lines that went with a crash are told, and stay missing for good", async () => {
    const folder = scratch();
    await write(folder, names);
    const size = statSync(trailFile(folder, 0)).size;
    truncateSync(trailFile(folder, 0), Math.floor(size / 2));
    await write(folder, ["g"]);
    const problems = (await verifyTrail(folder)).problems.join("\n");
    expect(problems).toMatch(/lines \d to 6 were gone when the daemon started/);
    expect((await linesOf(folder)).at(-1)).toMatchObject({ device: "alice/g" });
  });

  test("what cannot be written waits, is counted where it is too much, and is told later", async () => {
    const folder = scratch();
    // A folder where the file should be: every write fails, until it is gone.
    const { mkdirSync } = await import("node:fs");
    mkdirSync(trailFile(folder, 0));
    told.length = 0;
    const trail = openTrail(folder, { queue: 3, retry: 5 });
    for (const name of names) trail.append({ kind: "granted", device: `alice/${name}` });
    await trail.flush();
    expect(trail.state).toMatchObject({ waiting: 3, lost: 3, trouble: "EISDIR" });
    expect(told).toEqual([expect.stringMatching(/cannot write to .*: EISDIR/)]);
    rmSync(trailFile(folder, 0), { recursive: true });
    await trail.flush();
    expect(trail.state).toMatchObject({ waiting: 0, lost: 3, trouble: undefined });
    await trail.close();
    expect(
      (await linesOf(folder)).map(({ kind, device, lines }) => device ?? `${kind} ${String(lines)}`),
    ).toEqual(["audit-lost 3", "alice/a", "alice/b", "alice/c"]);
    expect((await verifyTrail(folder)).problems).toEqual([]);
    expect(told.at(-1)).toBe("audit trail: it is written again");
  });
});
