import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DeviceStore } from "../../server/store/device-store.ts";
import { decodeEnrolment } from "../../shared/enrolment.ts";
import { unwrap } from "../../shared/result.ts";
import type { Secret } from "../../shared/secret.ts";
import { Capture } from "../lab/capture.ts";
import type { Output } from "../lab/exec.ts";
import { Lab } from "../lab/lab.ts";
import { tock } from "../lab/programs.ts";
import { Scene } from "../lab/scene.ts";
import { formsOf, ProcessWatch } from "../lab/secret-forms.ts";
import { TockServer } from "../lab/tock-server.ts";

/**
 * A run through everything that handles secrets; then every byte that came out of it anywhere is searched for each of
 * them, in every form. The two places that are made to hold them are files that nobody else may read.
 */

test("no secret is in any output, log, error, packet, process list, environment, or in a file that others can read", async () => {
  await using scene = await Scene.set({ users: { alice: { knock: true }, bob: {} } });
  const watch = new ProcessWatch();
  await using capture = await Capture.start(scene.server);
  const outputs: { readonly what: string; readonly bytes: Buffer }[] = [];
  const took = (what: string, { stdout, stderr }: Pick<Output, "stdout" | "stderr">): void => {
    outputs.push({ what, bytes: Buffer.from(`${stdout}\n${stderr}`) });
  };
  const run = async (...args: string[]): Promise<void> => {
    took(`tock ${args.join(" ")}`, await scene.tock(scene.client, ...args));
  };
  const command = async (...args: string[]): Promise<void> => {
    took(`tockd ${args.join(" ")}`, await scene.daemon.command(...args));
  };
  const secrets = new Map<string, Uint8Array>();
  const learn = (name: string, secret: Secret | undefined): void => {
    if (secret) secrets.set(Buffer.from(secret.expose()).toString("hex"), secret.expose().slice());
    else throw new Error(`no ${name}`);
  };
  const learnStored = (): void => {
    const store = unwrap(DeviceStore.open(scene.daemon.state));
    learn("server key", store.identity.key);
    for (const device of unwrap(store.loadAll()).devices) {
      learn("current", device.current.secret);
      if (device.next) learn("next", device.next.secret);
      for (const { secret } of device.retired) learn("retired", secret);
    }
    store.close();
  };

  const link = await scene.daemon.addDevice("alice/laptop");
  learn("link", unwrap(decodeEnrolment(link)).secret);
  took("tock enroll", await scene.client.run(tock("enroll", "-"), { input: `${link}\n` }));
  learnStored();
  took("tock enroll again", await scene.stranger.run(tock("enroll", "-"), { input: `${link}\n` }));
  took(
    "tock enroll broken",
    await scene.stranger.run(tock("enroll", "-"), { input: `${link.slice(0, -9)}\n` }),
  );
  for (const form of ["spa", "stun"]) await run("open", "server", "ssh", "--form", form, "--for", "1");
  await run("open", "server", "nothing", "--json");
  await run("open", "server", "ssh", "--print");
  await run("rotate", "server");
  learnStored();
  for (const args of [["ping", "server"], ["list"], ["knock", "server"], ["sequence", "server", "--nmap"]])
    await run(...args);
  await run("ssh-config", "server");
  await run("rotate", "server", "--bad-flag");
  const uri = await scene.daemon.must("user", "otp", "add", "bob", "--uri");
  const otp = new URL(uri.trim().split("\n").at(-1) ?? "").searchParams.get("secret") ?? "";
  expect(otp.length).toBeGreaterThan(15);
  for (const args of [
    "status",
    "grants",
    "config",
    "check",
    "device list",
    "guard status",
    "device show alice/laptop",
  ]) {
    await command(...args.split(" "));
  }
  await command("device", "add", "alice/laptop", "--link");
  await command("device", "rotate", "alice/laptop", "--nonsense");
  took("the daemon", scene.daemon.process);
  await scene.daemon.restart("SIGKILL");
  await run("open", "server", "ssh", "--for", "1");
  learnStored();
  took("the daemon, started again", scene.daemon.process);
  for (const { frame } of await capture.packets(scene.client))
    outputs.push({ what: "a packet", bytes: frame });
  for (const bytes of watch.stop()) outputs.push({ what: "a process", bytes });
  await scene.daemon.stop("SIGABRT");
  took("the daemon, aborted", scene.daemon.process);

  expect(secrets.size, "server key, link, two rotations at least").toBeGreaterThanOrEqual(4);
  const forms = [...secrets.values()].flatMap((secret, index) => formsOf(`secret ${index}`, secret));
  forms.push({ name: "the second factor", bytes: Buffer.from(otp) });

  const private_ = new Set<string>();
  for (const host of [scene.server, scene.client, scene.stranger]) {
    for (const file of files(host.folder)) {
      const bytes = readFileSync(file);
      if (forms.some((form) => bytes.includes(form.bytes))) private_.add(file);
      else outputs.push({ what: file, bytes });
    }
  }
  for (const { what, bytes } of outputs) {
    for (const form of forms) expect(bytes.includes(form.bytes), `${form.name}: ${what}`).toBe(false);
  }
  expect(outputs.length).toBeGreaterThan(30);

  // The search finds what is there: the store and the profile hold secrets, and nobody else may read them.
  const kinds = [...private_].map((file) => file.slice(scene.lab.folder.length).replace(/-[a-z]+$/, ""));
  expect(kinds.some((file) => file.includes("/state/"))).toBe(true);
  expect(kinds.some((file) => file.includes("/tock/"))).toBe(true);
  for (const file of private_) {
    expect(file).toMatch(/\/server\/state\/|\/client\/.*\/tock\//);
    expect((lstatSync(file).mode & 0o777).toString(8), file).toBe("600");
  }
  expect((lstatSync(scene.daemon.state).mode & 0o777).toString(8)).toBe("700");
  for (const file of files(scene.daemon.state)) {
    expect((lstatSync(file).mode & 0o077).toString(8), file).toBe("0");
  }
});

/** Every regular file in a folder and below. */
function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return files(path);
    return entry.isFile() ? [path] : [];
  });
}

test("a lab in which a secret shows is not taken down in silence", async () => {
  const lab = await Lab.create();
  const [server] = await lab.hosts("server");
  const daemon = await TockServer.create(server);
  const { secret } = unwrap(decodeEnrolment(await daemon.addDevice("alice/laptop")));
  const text = Buffer.from(secret.expose()).toString("base64url");
  await server.start(["sh", "-c", `echo oops ${text}; exec sleep 60`]).waitFor(/oops/);
  // One secret in four has neither - nor _ in it, and is base64 as well.
  await expect(lab[Symbol.asyncDispose]()).rejects.toThrow(
    /^secrets show:\nsecret 0 in base64(url)?: output of ip /,
  );
});
