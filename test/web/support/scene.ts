import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { buildWeb } from "../../../scripts/build-web.ts";
import { must } from "../../lab/exec.ts";
import type { Process } from "../../lab/process.ts";
import type { Host } from "../../lab/host.ts";
import { Lab } from "../../lab/lab.ts";
import { SshServer } from "../../lab/sshd.ts";
import { type ServerSetup, TockServer } from "../../lab/tock-server.ts";

/** The page as the build makes it. */
export const DIST = fileURLToPath(new URL("../../../build/web-test/", import.meta.url));
export const PAGE = `file://${DIST}tock.html`;

let built: Promise<void> | undefined;

/** Builds the page from the sources of now, once a test file. */
export function buildPage(): Promise<void> {
  built ??= mkdir(DIST, { recursive: true }).then(() => buildWeb(new URL(`file://${DIST}`), () => undefined));
  return built;
}

/** The page that the programs hand out; where there is a build already, that is it. */
export async function buildDist(): Promise<void> {
  const dist = new URL("../../../dist/", import.meta.url);
  if (!existsSync(new URL("tock.html", dist))) await buildWeb(dist, () => undefined);
}

/** A server with the daemon and sshd, and a phone. */
export class WebScene {
  readonly lab: Lab;
  readonly server: Host;
  readonly phone: Host;
  readonly daemon: TockServer;
  readonly sshd: SshServer;
  #devices = 0;

  private constructor(lab: Lab, hosts: readonly [Host, Host], daemon: TockServer, sshd: SshServer) {
    this.lab = lab;
    [this.server, this.phone] = hosts;
    this.daemon = daemon;
    this.sshd = sshd;
  }

  static async set(setup: ServerSetup = {}): Promise<WebScene> {
    const lab = await Lab.create();
    try {
      const hosts = await lab.hosts("server", "phone");
      const [server, phone] = hosts;
      // Firefox takes the source address of the default route.
      for (const family of [4, 6] as const) {
        await must([
          "ip",
          "-n",
          phone.namespace,
          `-${family}`,
          "route",
          "add",
          "default",
          "via",
          server.at(family),
        ]);
      }
      const daemon = await TockServer.create(server, setup);
      const sshd = await SshServer.start(server);
      await daemon.start();
      return new WebScene(lab, hosts, daemon, sshd);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Adds a device that was never there, `alice/phone-1` and so on: a test that is tried again needs another one. */
  async newDevice(user = "alice"): Promise<{ id: string; link: string }> {
    const id = `${user}/phone-${++this.#devices}`;
    return { id, link: await this.daemon.addDevice(id) };
  }

  /** Loses frames on the wire, as `Segment.lose`, until the test is over. */
  async loseForTest(condition: string): Promise<void> {
    onTestFinished(() => this.lab.wire.lose(undefined));
    await this.lab.wire.lose(condition);
  }

  /** Serves the hosted form of the page on the server's host until the test is over; gives its address and the process. */
  async serve(scheme: "http" | "https"): Promise<{ url: string; process: Process }> {
    const port = scheme === "https" ? 8443 : 8080;
    const [key, certificate] = [this.server.path("web.key"), this.server.path("web.crt")];
    const subject = ["-subj", "/CN=tock test", "-addext", `subjectAltName=IP:${this.server.at(4)}`];
    const made = [
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      key,
      "-out",
      certificate,
    ];
    await this.server.must(["openssl", "req", "-x509", "-days", "2", ...made, ...subject]);
    const script = fileURLToPath(new URL("web-server.ts", import.meta.url));
    const files = scheme === "https" ? [key, certificate] : [];
    const process = this.server.start([
      globalThis.process.execPath,
      script,
      `${DIST}web`,
      String(port),
      ...files,
    ]);
    onTestFinished(async () => {
      await process.stop();
    });
    await process.waitFor(/listening/);
    return { url: `${scheme}://${this.server.at(4)}:${port}/`, process };
  }

  /** Whether ssh logs in from the phone. */
  async logsIn(family: 4 | 6 = 4): Promise<boolean> {
    const { stdout } = await this.sshd.run(this.phone, this.server.at(family), "echo logged in", 3);
    return stdout.trim() === "logged in";
  }

  async shut(family: 4 | 6 = 4): Promise<boolean> {
    const agent = await this.phone.agent();
    return (await agent.probe(this.server.at(family), 22, { timeout: 300 })) !== "open";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
