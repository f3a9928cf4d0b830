import { randomBytes } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ProfileStore } from "../../../client/profile-store.ts";
import { parseDeviceId } from "../../../shared/brand.ts";
import { unwrap } from "../../../shared/result.ts";
import { Secret } from "../../../shared/secret.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { Tock } from "./run-tock.ts";

/** `tock enroll --replace`: the old profile is the way in until the new one is. */

const text = (tock: Tock, name = "fake"): string => readFileSync(tock.profilePath(name), "utf8");
const names = (tock: Tock): string[] => new ProfileStore(tock.home).names();
const enroll = (tock: Tock, link: string, ...more: string[]) =>
  tock.run(["enroll", "-", "--timeout", "0.3", ...more], { input: link });
/** A device whose daemon has made a new link since. */
async function relinked(daemon: FakeDaemon): Promise<Tock> {
  const tock = await Tock.enrolledAt(daemon, { isStatic: false });
  daemon.enrolling = true;
  return tock;
}

test("the old profile stays until the server has taken the new one, then the new one has its place", async () => {
  let isAway = true;
  await using daemon = await FakeDaemon.start({ loseRequest: () => isAway });
  await using tock = await relinked(daemon);
  const old = text(tock);
  const link = daemon.link();
  const away = await enroll(tock, link, "--replace");
  expect(away.code, away.stderr).toBe(3);
  expect(away.stderr).toMatch(/Profile fake stays as it was.*--replace/);
  expect([text(tock), names(tock)]).toEqual([old, ["fake", "fake.new"]]);
  isAway = false;
  const done = await enroll(tock, link, "--replace");
  expect([done.code, done.stdout], done.stderr).toEqual([0, expect.stringMatching(/as profile fake$/m)]);
  expect(names(tock)).toEqual(["fake"]);
  expect(text(tock)).not.toBe(old);
  expect((await tock.run(["ping", "fake"])).code).toBe(0);
});

test("a link of another device says whose place it takes", async () => {
  await using daemon = await FakeDaemon.start({});
  await using tock = await relinked(daemon);
  const { device } = new ProfileStore(tock.home).load("fake").info;
  const link = daemon.link({ device: unwrap(parseDeviceId("alice/another")) });
  const done = await enroll(tock, link, "--replace");
  expect([done.code, done.stdout], done.stderr).toEqual([
    0,
    expect.stringContaining(`enrolled alice/another at fake, as profile fake (was ${device})`),
  ]);
});

test("the draft of another link, which may be all that opens, goes when the new one is enrolled and no sooner", async () => {
  let isAway = true;
  await using daemon = await FakeDaemon.start({ loseRequest: () => isAway });
  await using tock = await relinked(daemon);
  await enroll(tock, daemon.link(), "--replace");
  const draft = text(tock, "fake.new");
  const secret = new Secret(randomBytes(32));
  const link = daemon.link({ secret });
  const away = await enroll(tock, link, "--replace");
  expect([away.code, away.stderr]).toEqual([
    3,
    expect.stringMatching(/earlier link began is profile fake\.new2/),
  ]);
  expect([text(tock, "fake.new2"), names(tock)]).toEqual([draft, ["fake", "fake.new", "fake.new2"]]);
  isAway = false;
  daemon.current = secret;
  const done = await enroll(tock, link, "--replace");
  expect(done.code, done.stderr).toBe(0);
  expect(names(tock)).toEqual(["fake"]);
});

test("a link that the server refuses leaves the old profile alone", async () => {
  await using daemon = await FakeDaemon.start({ answer: () => "expired" });
  await using tock = await relinked(daemon);
  const old = text(tock);
  const { code, stderr } = await enroll(tock, daemon.link(), "--replace");
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/refused this link.*\n.*Profile fake stays as it was/),
  ]);
  expect([text(tock), names(tock)]).toEqual([old, ["fake"]]);
});

test("a profile of another server is not replaced, and nothing is sent", async () => {
  await using other = await FakeDaemon.start();
  await using daemon = await FakeDaemon.start({}, { enrolling: true });
  await using tock = await Tock.enrolledAt(other);
  const old = text(tock);
  const { code, stderr } = await enroll(tock, daemon.link(), "--replace");
  expect([code, stderr]).toEqual([1, expect.stringMatching(/profile fake is of another server.*\n.*--name/)]);
  expect([text(tock), daemon.seen]).toEqual([old, []]);
});

test("one that was cut off when the server had taken it is finished by the next, whatever becomes of that", async () => {
  await using daemon = await FakeDaemon.start();
  await using tock = await relinked(daemon);
  const link = daemon.link();
  await using elsewhere = await Tock.create();
  expect((await enroll(elsewhere, link)).code).toBe(0);
  copyFileSync(elsewhere.profilePath("fake"), tock.profilePath("fake.new"));
  daemon.behaviour.loseRequest = () => true;
  await enroll(tock, link, "--replace");
  expect(text(tock)).toBe(text(elsewhere));
});

test("without a profile of that name it is an enrolment as any other", async () => {
  await using daemon = await FakeDaemon.start({}, { enrolling: true });
  await using tock = await Tock.create();
  expect((await enroll(tock, daemon.link(), "--replace")).code).toBe(0);
  expect(names(tock)).toEqual(["fake"]);
});

test("without --replace it says that there is such a thing", async () => {
  await using daemon = await FakeDaemon.start();
  await using tock = await relinked(daemon);
  const { code, stderr } = await enroll(
    tock,
    daemon.link({ serverId: daemon.serverId, isStatic: true }),
    "--name",
    "fake",
  );
  expect([code, stderr]).toEqual([1, expect.stringMatching(/exists already\n.*--replace/)]);
});
