import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Output, run } from "../../lab/exec.ts";

const CLI = fileURLToPath(new URL("../../../client/cli.ts", import.meta.url));

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

  profilePath(name: string): string {
    return join(this.home, "profiles", `${name}.json`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
  }
}
