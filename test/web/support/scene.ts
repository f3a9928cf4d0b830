import { fileURLToPath } from "node:url";
import { must } from "../../lab/exec.ts";
import type { Host } from "../../lab/host.ts";
import { Lab } from "../../lab/lab.ts";
import { SshServer } from "../../lab/sshd.ts";
import { type ServerSetup, TockServer } from "../../lab/tock-server.ts";

/** The page as the build makes it. */
export const DIST = fileURLToPath(new URL("../../../build/web-test/", import.meta.url));
export const PAGE = `file://${DIST}tock.html`;

/** A server with the daemon and sshd, and a phone. */
export class WebScene {
  readonly lab: Lab;
  readonly server: Host;
  readonly phone: Host;
  readonly daemon: TockServer;
  readonly sshd: SshServer;

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
