import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { writeAlone } from "../../../server/commands/guard-trail.ts";
import type { AuditEvent } from "../../../server/core/event.ts";
import { verifyTrail } from "../../../server/store/audit-read.ts";
import { AuditTrail } from "../../../server/store/audit-trail.ts";
import { flock } from "../../../server/sys/libc.ts";
import type { Ui } from "../../../server/ui.ts";
import { scratch } from "../../support/tockd.ts";

const OFF: AuditEvent = { kind: "guard", state: "off", by: "command" };
const NOBODY = 65_534;

let state: string;
let notes: string[];
const ui: Ui = { out: () => undefined, note: (text) => notes.push(text), columns: undefined, colour: false };
const write = (): Promise<void> => writeAlone(state, [OFF], ui);

beforeEach(() => {
  state = join(scratch(), "state");
  notes = [];
  mkdirSync(state, { mode: 0o700 });
});

test("it goes on where the daemon ended", async () => {
  const trail = new AuditTrail({ folder: state, now: Date.now, tell: () => undefined });
  trail.append({ kind: "started" });
  await trail.close();
  writeFileSync(join(state, "journal"), "", { mode: 0o600 });
  await write();
  expect(await verifyTrail(state)).toMatchObject({ lines: 2, problems: [] });
  expect(notes).toEqual([]);
});

test("a daemon that lives writes alone", async () => {
  const descriptor = openSync(join(state, "journal"), "w", 0o600);
  expect(flock(descriptor)).toBe(0);
  await write();
  expect(await verifyTrail(state)).toMatchObject({ lines: 0 });
  closeSync(descriptor);
  await write();
  expect(await verifyTrail(state)).toMatchObject({ lines: 1, problems: [] });
});

test.runIf(process.geteuid?.() === 0)("what root makes is the daemon's", async () => {
  chownSync(state, NOBODY, NOBODY);
  await write();
  for (const name of ["audit.jsonl", "audit.head"])
    expect(statSync(join(state, name))).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o100_600 });
});

test("a trail that cannot be written is a warning, and a link leads nowhere", async () => {
  const other = join(scratch(), "other");
  writeFileSync(other, "mine\n", { mode: 0o600 });
  symlinkSync(other, join(state, "audit.jsonl"));
  await write();
  expect(notes.join("")).toMatch(/^tock: warning: the audit trail has no line of this: .*not a link\n$/);
  expect(statSync(other).size).toBe(5);
  chmodSync(state, 0o755);
  await write();
  expect(notes.at(-1)).toMatch(/expected mode 0700/);
});

test("where there is no state there is no trail", async () => {
  await writeAlone(join(state, "none"), [OFF], ui);
  expect(notes).toEqual([]);
});
