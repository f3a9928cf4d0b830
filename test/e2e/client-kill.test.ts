import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ask } from "../../client/ask.ts";
import { ProfileStore } from "../../client/profile-store.ts";
import { rotate } from "../../client/rotation.ts";
import { type Manner, Session } from "../../client/session.ts";
import { plainVault } from "../../client/vault.ts";
import type { ServiceName } from "../../shared/brand.ts";
import { run } from "../lab/exec.ts";
import { type Behaviour, FakeDaemon } from "../unit/client/fake-daemon.ts";
import { CLI, Tock } from "../unit/client/run-tock.ts";

/**
 * The client killed before every step of an enrolment and of a rotation that touches a file, a lock or a socket: its
 * device can still open afterwards, and no old secret is left that could.
 */

const HOOK = fileURLToPath(new URL("../unit/client/kill-at.ts", import.meta.url));
const manner: Manner = {
  form: "spa",
  timing: { schedule: [0, 20, 50], timeout: 80, grace: 10, graceAfterNo: 10 },
  replies: true,
};

interface Scenario {
  readonly args: readonly string[];
  readonly enrolling: boolean;
  readonly v6?: boolean;
  readonly behaviour?: Behaviour;
  /** Brings the profile to where the killed run begins. */
  readonly before?: (tock: Tock, daemon: FakeDaemon) => Promise<void>;
}

/** Leaves a rotation open, of which the server has heard or not. */
async function cutOff(tock: Tock, daemon: FakeDaemon, lost: "loseRequest" | "loseReply"): Promise<void> {
  daemon.behaviour[lost] = () => true;
  const session = load(tock);
  await rotate(session, await session.targets(undefined), manner);
  daemon.behaviour[lost] = () => false;
}

const open = ["open", "fake", "--timeout", "0.3"] as const;
const SCENARIOS: Readonly<Record<string, Scenario>> = {
  enrolment: { args: ["enroll", "-"], enrolling: true },
  "rotation over both families": { args: ["rotate", "fake"], enrolling: false, v6: true },
  "an open that a rotation follows": { args: open, enrolling: false, behaviour: { rotationDue: true } },
  "an enrolment that is taken up again": {
    args: ["enroll", "-"],
    enrolling: true,
    before: async (tock, daemon) => {
      await tock.enrol(daemon, "fake", { isStatic: false });
      await cutOff(tock, daemon, "loseReply");
    },
  },
  "a rotation that the server has heard of": {
    args: open,
    enrolling: false,
    before: (tock, daemon) => cutOff(tock, daemon, "loseReply"),
  },
  "a rotation that the server has not heard of": {
    args: open,
    enrolling: false,
    before: (tock, daemon) => cutOff(tock, daemon, "loseRequest"),
  },
};

function load(tock: Tock): Session {
  const store = new ProfileStore(tock.home);
  return Session.of(store, store.load("fake"), plainVault);
}

/** Runs the program until it is killed before its step of this number; false where it came to its end. */
async function isKilledAt(
  step: number,
  tock: Tock,
  daemon: FakeDaemon,
  args: readonly string[],
): Promise<boolean> {
  const env = { ...tock.env, KILL_AT: String(step) };
  const argv = [process.execPath, "--import", HOOK, CLI, ...args] as const;
  const output = await run(argv, { env, input: daemon.link() });
  if (output.signal !== "SIGKILL") expect(output.code, `step ${step}: ${output.stderr}`).toBe(0);
  return output.signal === "SIGKILL";
}

async function expectOpens(tock: Tock, daemon: FakeDaemon, at: string): Promise<void> {
  const store = new ProfileStore(tock.home);
  if (!store.names().includes("fake")) {
    // Killed before there was a profile: nothing has been sent, and the link is as good as new.
    expect(daemon.seen, at).toEqual([]);
    const again = await tock.run(["enroll", "-"], { input: daemon.link() });
    expect(again.code, `${at}: ${again.stderr}`).toBe(0);
  }
  const session = load(tock);
  const wish = { type: "open", service: "ssh" as ServiceName } as const;
  const outcome = await ask(session, wish, await session.targets(undefined), manner);
  expect(outcome.best?.reply.result, at).toBe("opened");
  const { keys } = load(tock);
  expect(keys.current.equals(daemon.current), at).toBe(true);
  expect(
    daemon.retired.some((secret) => secret.equals(keys.current)),
    at,
  ).toBe(false);
  const files = readdirSync(join(tock.home, "profiles"));
  expect(
    files.filter((file) => file.endsWith(".json")),
    at,
  ).toEqual(["fake.json"]);
}

let points = 0;

test.each(Object.entries(SCENARIOS))(
  "%s",
  async (_name, { args, enrolling, v6 = false, behaviour, before }) => {
    for (let step = 1, isKilled = true; isKilled; step++) {
      await using daemon = await FakeDaemon.start({ ...behaviour }, { enrolling, v6 });
      await using tock = await Tock.create();
      if (!enrolling) await tock.enrol(daemon, "fake", { isStatic: false });
      await before?.(tock, daemon);
      isKilled = await isKilledAt(step, tock, daemon, args);
      daemon.behaviour.rotationDue = false;
      await expectOpens(tock, daemon, `step ${step}`);
      if (isKilled) points++;
    }
  },
);

test("these were at least 200 points", () => {
  expect(points).toBeGreaterThanOrEqual(200);
});
