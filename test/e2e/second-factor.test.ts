import { afterAll, beforeAll, expect, test } from "vitest";
import { STEP_MILLIS } from "../../shared/constants.ts";
import type { Output } from "../lab/exec.ts";
import { Scene } from "../lab/scene.ts";
import { sleep } from "../lab/wait.ts";

/** The second factor, from tockd user otp add to an open port, with the codes of another program. */

let scene: Scene;
let secret: string;

beforeAll(async () => {
  scene = await Scene.set({
    services: {
      ssh: { ports: ["tcp/22"], ttl: "2s" },
      vault: { ports: ["tcp/8080"], second_factor: "required" },
    },
    users: { otto: { second_factor: "required" }, vera: {} },
  });
  for (const user of ["otto", "vera"]) {
    const uri = await scene.daemon.must("user", "otp", "add", user, "--uri");
    const url = new URL(uri.trim());
    expect(url.protocol).toBe("otpauth:");
    secret = url.searchParams.get("secret") ?? secret;
    if (user === "otto") ottos = secret;
  }
  await scene.daemon.enrol(scene.client, "otto/laptop");
  await scene.daemon.enrol(scene.stranger, "vera/laptop");
});
afterAll(() => scene[Symbol.asyncDispose]());

let ottos = "";

/** The code of so many seconds from now. */
async function code(by = 0, of = ottos): Promise<string> {
  const at = new Date(Date.now() + by * 1000).toISOString().slice(0, 19).replace("T", " ");
  const argv = ["oathtool", "--totp", "-b", of, "-N", `${at} UTC`] as const;
  return (await scene.client.must(argv)).trim();
}

/** What `tock open` says with these flags, and whether the port is open then. */
async function open(...flags: string[]): Promise<Output & { isOpen: boolean }> {
  await scene.shuts(scene.client, 4);
  const output = await scene.tock(scene.client, "open", "server", "ssh", "-4", ...flags);
  return { ...output, isOpen: await scene.sees(scene.client, 4) };
}

const refused = { code: 1, isOpen: false };

test("codes of oathtool: right, wrong, reused, the step before, none", async () => {
  const none = await open();
  expect(none).toMatchObject({ isOpen: false });
  expect(none.code).not.toBe(0);

  const wrong = String((Number(await code()) + 1) % 1_000_000).padStart(6, "0");
  const no = await open("--otp", wrong);
  expect(no).toMatchObject(refused);
  expect(no.stderr).toMatch(/second.factor/);
  await scene.daemon.logged("refused", { device: "otto/laptop", rule: "second-factor-wrong" });

  await scene.shuts(scene.client, 4);
  const left = STEP_MILLIS - (Date.now() % STEP_MILLIS);
  if (left < 8_000) await sleep(left + 50);
  const before = await code(-30);
  const first = await open("--otp", before);
  expect(first, first.stderr).toMatchObject({ code: 0, isOpen: true });
  expect(await open("--otp", before)).toMatchObject(refused);
  const second = await open("--otp", await code());
  expect(second, second.stderr).toMatchObject({ code: 0, isOpen: true });
});

test("a code that was used is used after a restart by SIGKILL too", async () => {
  const next = await code(30);
  expect(await open("--otp", next)).toMatchObject({ code: 0, isOpen: true });
  await scene.daemon.restart("SIGKILL");
  expect(await open("--otp", next)).toMatchObject(refused);
});

test("after ten wrong ones not even the right one opens", async () => {
  const device = await scene.device("otto/other");
  const right = Number(await code(30));
  for (let guess = 1; guess <= 10; guess++) {
    await scene.send(scene.client, 4, device.packet({ otp: (right + guess * 7) % 1_000_000 }));
  }
  await scene.send(scene.client, 4, device.packet({ otp: right }));
  await scene.daemon.logged("refused", { device: "otto/other", rule: "second-factor-exhausted" });
  expect(await scene.sees(scene.client, 4)).toBe(false);
});

test("a service can ask for a code that its user is not asked for elsewhere", async () => {
  const plain = await scene.tock(scene.stranger, "open", "server", "ssh");
  expect(plain, plain.stderr).toMatchObject({ code: 0 });
  const vault = await scene.tock(scene.stranger, "open", "server", "vault");
  expect(vault.code).not.toBe(0);
  await scene.daemon.logged("refused", { device: "vera/laptop", rule: "second-factor-missing" });
  const right = await scene.tock(scene.stranger, "open", "server", "vault", "--otp", await code(0, secret));
  expect(right, right.stderr).toMatchObject({ code: 0 });
});
