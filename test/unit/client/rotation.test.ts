import { copyFile, readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { ask, rotateWhenDue } from "../../../client/ask.ts";
import { ProfileStore } from "../../../client/profile-store.ts";
import { rotate } from "../../../client/rotation.ts";
import type { Timing } from "../../../client/send-spa.ts";
import { type Manner, Session } from "../../../client/session.ts";
import type { Wish } from "../../../client/spa-packet.ts";
import { plainVault } from "../../../client/vault.ts";
import type { ServiceName } from "../../../shared/brand.ts";
import { hex } from "../../../shared/bytes.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { Tock } from "./run-tock.ts";

/** Rotation seen from the client: whatever is lost and whoever dies, one secret that both sides hold is left. */

const FAST: Timing = { schedule: [0, 10, 25, 45, 70], timeout: 100, grace: 20, graceAfterNo: 20 };
const manner: Manner = { form: "spa", timing: FAST, replies: true };
const OPEN: Wish = { type: "open", service: "ssh" as ServiceName };

/** The profile as a new process would find it. */
function load(tock: Tock): Session {
  const store = new ProfileStore(tock.home);
  return Session.of(store, store.load("fake"), plainVault);
}

async function open(session: Session): Promise<string | undefined> {
  const targets = await session.targets(undefined);
  const outcome = await ask(session, OPEN, targets, manner);
  await rotateWhenDue(session, outcome, targets, manner);
  return outcome.best?.reply.result;
}

async function rotateNow(session: Session): Promise<string | undefined> {
  return (await rotate(session, await session.targets(undefined), manner)).best?.reply.result;
}

describe("enrolment", () => {
  test("rotates at once, after which both sides hold another secret than the link's", async () => {
    await using daemon = await FakeDaemon.start({}, { enrolling: true });
    await using tock = await Tock.create();
    const fromLink = daemon.current;
    expect(await tock.json(["enroll", "-"], { input: daemon.link() })).toMatchObject({ result: "rotated" });
    const { keys } = load(tock);
    expect(keys.current.equals(daemon.current)).toBe(true);
    expect(keys.current.equals(fromLink)).toBe(false);
    expect([keys.enrolling, keys.next]).toEqual([false, undefined]);
    expect(daemon.enrolling).toBe(false);
  });

  test("the same link again is refused, with what that may mean, and leaves no profile behind", async () => {
    await using daemon = await FakeDaemon.start({}, { enrolling: true });
    await using tock = await Tock.create();
    const link = daemon.link();
    expect((await tock.run(["enroll", "-"], { input: link })).code).toBe(0);
    const second = await tock.run(["enroll", "-", "--name", "thief"], { input: link });
    expect(second.code).toBe(1);
    expect(second.stderr).toBe(
      "tock: error: the server refused this link (used before, or expired)\n" +
        "tock: hint: each link works once: if you have not used it before, somebody else may have. Tell the " +
        "administrator, who can remove alice/laptop and make a new link\n",
    );
    expect(new ProfileStore(tock.home).names()).toEqual(["fake"]);
  });

  test("with nobody there it stays open, and the first use ends it", async () => {
    await using daemon = await FakeDaemon.start({ loseRequest: () => isAway }, { enrolling: true });
    await using tock = await Tock.create();
    let isAway = true;
    const first = await tock.run(["enroll", "-", "--timeout", "0.2"], { input: daemon.link() });
    expect(first.code).toBe(3);
    expect(first.stderr).toContain("tock: error: enrolment not finished: sent, but fake did not answer");
    expect(first.stderr).toContain("profile fake is kept, and its first use ends the enrolment");
    isAway = false;
    expect((await tock.run(["open", "fake"])).stdout).toBe(
      "opened ssh (tcp/22) on fake for 30 s, to 127.0.0.1\n",
    );
    expect(load(tock).keys.current.equals(daemon.current)).toBe(true);
  });

  test("run again with the same link, it takes up where it was cut off", async () => {
    await using daemon = await FakeDaemon.start({ loseRequest: () => isAway }, { enrolling: true });
    await using tock = await Tock.create();
    let isAway = true;
    const link = daemon.link();
    expect((await tock.run(["enroll", "-", "--timeout", "0.2"], { input: link })).code).toBe(3);
    isAway = false;
    expect((await tock.run(["enroll", "-"], { input: link })).code).toBe(0);
    expect(load(tock).keys.enrolling).toBe(false);
  });

  test("a server that never answers is told several times, and the new secret used from then on", async () => {
    await using daemon = await FakeDaemon.start({}, { enrolling: true });
    await using tock = await Tock.create();
    const { code, stderr } = await tock.run(["enroll", "-"], { input: daemon.link({ replies: false }) });
    expect(code).toBe(3);
    expect(stderr).toContain("sent, but fake never answers, so nothing confirms it");
    expect((await tock.run(["open", "fake"])).code).toBe(3);
    await expect
      .poll(() => daemon.seen.map(({ request, under }) => `${request.type} ${under}`))
      .toEqual(["rotate current", "rotate current", "rotate current", "ping next", "open current"]);
  });
});

describe("rotation", () => {
  test("both sides hold a new secret, and the old one is gone from the file", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    const before = await readFile(tock.profilePath("fake"), "utf8");
    const old = /"current": "([^"]*)"/.exec(before)?.[1] ?? "?";
    expect(await tock.json(["rotate", "fake"])).toMatchObject({ ok: true, result: "rotated" });
    const after = await readFile(tock.profilePath("fake"), "utf8");
    expect(after).not.toContain(old);
    expect(load(tock).keys.current.equals(daemon.current)).toBe(true);
  });

  test("a copy of the profile from before opens nothing", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    await copyFile(tock.profilePath("fake"), tock.profilePath("copy"));
    expect((await tock.run(["rotate", "fake"])).code).toBe(0);
    const { code, stderr } = await tock.run(["open", "copy"]);
    expect(code).toBe(1);
    expect(stderr).toContain("tock: error: copy refused: this device or its secret has expired");
    expect(daemon.seen.at(-1)?.under).toBe("retired");
  });

  test("follows when the reply says that it is due, after the answer", async () => {
    await using daemon = await FakeDaemon.start({ rotationDue: true });
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    const { code, stdout } = await tock.run(["open", "fake"]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "opened ssh (tcp/22) on fake for 30 s, to 127.0.0.1\n",
    });
    expect(daemon.seen.map(({ request, under }) => `${request.type} ${under}`)).toEqual([
      "open current",
      "rotate current",
      "ping next",
    ]);
  });

  test("follows when the secret is older than the profile allows", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false, rotateAfter: 3600 });
    expect((await tock.run(["open", "fake"])).code).toBe(0);
    expect(daemon.seen.length).toBe(1);
    const path = tock.profilePath("fake");
    const file = (await readFile(path, "utf8")).replace(/"since": \d+/, `"since": ${Date.now() - 3_601_000}`);
    await writeFile(path, file);
    expect((await tock.run(["open", "fake"])).code).toBe(0);
    expect(daemon.seen.map(({ request }) => request.type)).toEqual(["open", "open", "rotate", "ping"]);
  });

  test("comes first where the server insists", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    daemon.enrolling = true;
    expect((await tock.run(["open", "fake"])).code).toBe(0);
    expect(daemon.seen.map(({ request, under }) => `${request.type} ${under}`)).toEqual([
      "open current",
      "rotate current",
      "open next",
    ]);
  });

  test("asks for the same secret again, and tries the new one first", async () => {
    let lose = true;
    await using daemon = await FakeDaemon.start({ loseReply: () => lose });
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    expect(await rotateNow(load(tock))).toBe(undefined);
    const asked = load(tock).keys.next?.ephemeral;
    expect(asked).toBeDefined();
    lose = false;
    daemon.seen.length = 0;
    expect(await open(load(tock))).toBe("opened");
    expect(daemon.seen.map(({ request, under }) => `${request.type} ${under}`)).toEqual(["open next"]);
    expect(load(tock).keys.next).toBe(undefined);
  });

  test("falls back to the old secret where the server never heard of the new one", async () => {
    let away = true;
    await using daemon = await FakeDaemon.start({ loseRequest: () => away });
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    expect(await rotateNow(load(tock))).toBe(undefined);
    away = false;
    expect(await open(load(tock))).toBe("opened");
    // What is sent again while the answer is made is the same packet.
    const packets = daemon.seen.filter(
      ({ datagram }, index, all) => index === 0 || all[index - 1]?.datagram.equals(datagram) === false,
    );
    expect(packets.map(({ request, under }) => `${request.type} ${under}`)).toEqual([
      "rotate current",
      "open next",
    ]);
    expect(load(tock).keys.current.equals(daemon.current)).toBe(true);
  });

  test("a refusal to rotate leaves the old secret in use", async () => {
    await using daemon = await FakeDaemon.start({
      answer: ({ request }) => (request.type === "rotate" ? "refused" : "opened"),
    });
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    expect((await tock.run(["rotate", "fake"])).code).toBe(1);
    expect(await open(load(tock))).toBe("opened");
    expect(load(tock).keys.current.equals(daemon.current)).toBe(true);
  });

  test("two processes that rotate at once end with one secret, which the server holds", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    for (let turn = 0; turn < 10; turn++) {
      await Promise.all(Array.from({ length: 4 }, () => rotateNow(load(tock))));
      expect(await open(load(tock))).toBe("opened");
      expect(load(tock).keys.current.equals(daemon.current)).toBe(true);
    }
  });

  test("100 rotations in a row with 30 % of the packets lost each way never lock the device out", async () => {
    let state = 7;
    /** A small linear congruential generator (Numerical Recipes): the same losses each time. */
    const isLost = (): boolean => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32 < 0.3;
    };
    await using daemon = await FakeDaemon.start({ loseRequest: isLost, loseReply: isLost });
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    const used = new Set<string>();
    for (let turn = 0; turn < 100; turn++) {
      await rotateNow(load(tock));
      const { keys } = load(tock);
      const held = [keys.current, keys.next?.secret].some(
        (secret) => secret && (secret.equals(daemon.current) || daemon.next?.equals(secret)),
      );
      expect(held, `rotation ${turn}`).toBe(true);
      used.add(hex(keys.current.expose()));
    }
    expect(used.size).toBeGreaterThan(80);
    daemon.behaviour.loseRequest = () => false;
    daemon.behaviour.loseReply = () => false;
    expect(await open(load(tock))).toBe("opened");
  }, 60_000);
});
