import { mkdir, readFile, writeFile } from "node:fs/promises";
import { must, type Output } from "./exec.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";

/** A real sshd on a host, port 22 of every address, root by one key; and a client's way in. */
export class SshServer {
  readonly host: Host;
  readonly process: Process;
  /** The client's private key, and a known_hosts file that holds the server's. */
  readonly key: string;
  readonly knownHosts: string;

  private constructor(host: Host, process: Process) {
    this.host = host;
    this.process = process;
    this.key = host.path("ssh", "client_key");
    this.knownHosts = host.path("ssh", "known_hosts");
  }

  /** Makes keys and configuration, starts sshd in the foreground, and waits until it listens. */
  static async start(host: Host): Promise<SshServer> {
    await writeFiles(host);
    const process = host.start(["sh", "-c", startScript(host)]);
    await process.waitFor(/Server listening on .* port 22/);
    return new SshServer(host, process);
  }

  /** Runs one command over ssh. A port that stays silent gives exit code 255 after `connectTimeout` seconds. */
  run(client: Host, address: string, command: string, connectTimeout = 5): Promise<Output> {
    return client.run(["ssh", ...this.options(connectTimeout), `root@${address}`, command], {
      timeout: 30_000,
    });
  }

  /** Logs in and stays: a session that can be asked now and later whether it lives. */
  async session(client: Host, address: string): Promise<SshSession> {
    const session = new SshSession(client.start(["ssh", ...this.options(10), `root@${address}`, "sh"]));
    await session.ask("login");
    return session;
  }

  /** ssh's options that every client of this server needs. */
  options(connectTimeout: number): string[] {
    const settings = {
      BatchMode: "yes",
      ConnectTimeout: String(connectTimeout),
      IdentitiesOnly: "yes",
      StrictHostKeyChecking: "yes",
      UserKnownHostsFile: this.knownHosts,
    };
    return [
      "-F",
      "none",
      "-i",
      this.key,
      ...Object.entries(settings).flatMap(([k, v]) => ["-o", `${k}=${v}`]),
    ];
  }
}

/** An ssh session with a shell at its other end. */
export class SshSession {
  readonly process: Process;
  #asked = 0;

  constructor(process: Process) {
    this.process = process;
  }

  /** Has the remote shell say `word` back; throws when it does not within 15 s. */
  async ask(word: string): Promise<void> {
    const text = `${word}-${++this.#asked}`;
    this.process.write(`echo "<${text}>"\n`);
    await this.process.waitFor(new RegExp(`<${text}>`), 15_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }
}

async function writeFiles(host: Host): Promise<void> {
  await mkdir(host.path("ssh"), { recursive: true, mode: 0o755 });
  for (const name of ["host_key", "client_key"]) {
    await must([
      "ssh-keygen",
      "-q",
      "-t",
      "ed25519",
      "-N",
      "",
      "-C",
      "tock-lab",
      "-f",
      host.path("ssh", name),
    ]);
  }
  const [hostKey, clientKey, passwd] = await Promise.all([
    readFile(host.path("ssh", "host_key.pub"), "utf8"),
    readFile(host.path("ssh", "client_key.pub"), "utf8"),
    readFile("/etc/passwd", "utf8"),
  ]);
  const sshdUser = passwd.split("\n").find((line) => line.startsWith("sshd:"));
  if (sshdUser === undefined) throw new Error("there is no user sshd: install openssh-server");
  const config = [
    "Port 22",
    `HostKey ${host.path("ssh", "host_key")}`,
    `AuthorizedKeysFile ${host.path("ssh", "authorized_keys")}`,
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "UseDNS no",
    "StrictModes no",
    "PrintMotd no",
    "PidFile none",
    "MaxStartups 100",
  ];
  const files = {
    sshd_config: config.join("\n"),
    authorized_keys: clientKey.trim(),
    known_hosts: `* ${hostKey.trim()}`,
    passwd: `root:x:0:0:root:${host.folder}:/bin/sh\n${sshdUser}`,
    shadow: "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::",
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFile(host.path("ssh", name), `${text}\n`, { mode: 0o600 });
  }
}

/**
 * sshd runs with a /run, passwd and shadow of its own (mounts that only it sees: `ip netns exec` gives it a mount
 * namespace), so it needs nothing on the machine and does not depend on whether root may log in there.
 */
function startScript(host: Host): string {
  return [
    "mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd",
    `mount --bind ${host.path("ssh", "passwd")} /etc/passwd`,
    `mount --bind ${host.path("ssh", "shadow")} /etc/shadow`,
    `exec "$(command -v sshd)" -D -e -f ${host.path("ssh", "sshd_config")}`,
  ].join(" && ");
}
