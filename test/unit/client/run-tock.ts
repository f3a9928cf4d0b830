import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { ProfileStore } from "../../../client/profile-store.ts";
import type { UnixMillis } from "../../../shared/brand.ts";
import type { Enrolment } from "../../../shared/enrolment.ts";
import type { FakeDaemon } from "./fake-daemon.ts";
import { bundle } from "../../../scripts/bundle.ts";
import { type Output, run } from "../../lab/exec.ts";

// Inside the tree, so that the program finds the packages that stay outside of it.
const build = fileURLToPath(new URL("../../../build/", import.meta.url));
mkdirSync(build, { recursive: true });
const folder = mkdtempSync(join(build, "client-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
await bundle("tock", folder);

/** The program in one file, as it is installed: that starts four times as fast as its sources do. */
export const CLI = join(folder, "tock.js");

/** The real program, as a process of its own, with a profile folder of its own. */
export class Tock implements AsyncDisposable {
  readonly home: string;
  readonly env: Record<string, string>;

  private constructor(home: string) {
    this.home = home;
    this.env = { TOCK_HOME: home, NO_COLOR: "1" };
  }

  static async create(): Promise<Tock> {
    return new Tock(await mkdtemp(join(tmpdir(), "tock-test-")));
  }

  /** One that is enrolled at a daemon, as profile `fake`. */
  static async enrolledAt(daemon: FakeDaemon, changes: Partial<Enrolment> = {}): Promise<Tock> {
    const tock = await Tock.create();
    await tock.enrol(daemon, "fake", changes);
    return tock;
  }

  run(
    args: readonly string[],
    options: { input?: string; env?: Record<string, string> } = {},
  ): Promise<Output> {
    const { input = "", env = {} } = options;
    return run([process.execPath, CLI, ...args], { input, env: { ...this.env, ...env } });
  }

  /** Runs it, expects exit code 0 and gives what it printed as JSON. */
  async json(args: readonly string[], options: { input?: string } = {}): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await this.run([...args, "--json"], options);
    if (code !== 0) throw new Error(`tock ${args.join(" ")}: exit code ${code}\n${stderr}${stdout}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** Puts a profile of the daemon's device into the folder, as enrolment would. */
  async enrol(daemon: FakeDaemon, name = "fake", changes: Partial<Enrolment> = {}): Promise<void> {
    const { secret, ...info } = daemon.enrolment(changes);
    const since = Date.now() as UnixMillis;
    const keys = { current: secret, since, enrolling: daemon.enrolling, next: undefined };
    await new ProfileStore(this.home).create({ name, info, createdAt: since, keys: { kind: "plain", keys } });
  }

  profilePath(name: string): string {
    return join(this.home, "profiles", `${name}.json`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
  }
}
