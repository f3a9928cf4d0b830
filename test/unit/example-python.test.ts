import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { decodeEnrolment, encodeEnrolment } from "../../shared/enrolment.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import { type Origin, unhex, vectors } from "../support/vectors.ts";

const folder = fileURLToPath(new URL("../../docs/examples/", import.meta.url));
const hasPython =
  spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]).status === 0;
const python = (args: string[], input: string) =>
  spawnSync("python3", args, {
    input,
    encoding: "utf8",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
  });

/** Calls one function of the example for every entry of a list, and gives what it returned. */
function called(expression: string, entries: readonly object[]): unknown {
  const code = `
import json, sys
sys.path.insert(0, sys.argv[1])
from tock_sequence import derive, knock_sequence
unhex = bytes.fromhex
print(json.dumps([${expression} for v in json.load(sys.stdin)]))`;
  const run = python(["-c", code, folder], JSON.stringify(entries));
  expect(run.stderr).toBe("");
  return JSON.parse(run.stdout);
}

describe.skipIf(!hasPython)("docs/examples/tock_sequence.py [needs python3 3.8 or newer]", () => {
  const schedule = (vectors("key-schedule") as { vectors: (Origin & Record<string, unknown>)[] }).vectors;
  const sequences = (vectors("knock-sequence") as { vectors: (Origin & { ports: number[] })[] }).vectors;

  test.for(["tag", "seal", "ack", "ice"])("derives %s", (label) => {
    const made = called(
      `derive(unhex(v["secret"]), unhex(v["serverId"]), "${label}", v["step"]).hex()`,
      schedule,
    );
    expect(made).toEqual(schedule.map((entry) => entry[label]));
  });

  test("draws the knock sequences", () => {
    const call = `knock_sequence(unhex(v["secret"]), unhex(v["serverId"]), v["step"], v["first"], v["last"], v["length"])`;
    expect(called(call, sequences)).toEqual(sequences.map(({ ports }) => ports));
  });

  const [vector] = (vectors("enrolment") as { vectors: { link: string }[] }).vectors;
  const enrolment = unwrap(decodeEnrolment(vector!.link));

  test("reads a static device's link and prints its ports", () => {
    const entry = sequences[0]!;
    const link = encodeEnrolment({ ...enrolment, isStatic: true, secret: new Secret(unhex(entry.secret)) });
    const run = python([`${folder}tock_sequence.py`, "--at", String(entry.step * 30 + 29)], link);
    expect(run).toMatchObject({ status: 0, stderr: "", stdout: `${entry.ports.join(" ")}\n` });
  });

  test("refuses the link of a device whose secret can only rotate", () => {
    const run = python([`${folder}tock_sequence.py`], encodeEnrolment({ ...enrolment, isStatic: false }));
    expect(run.status).toBe(1);
    expect(run.stdout).toBe("");
    expect(run.stderr).toContain("may not knock");
  });
});
