import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { sealPacket } from "../../../shared/seal.ts";
import type { Host } from "../../lab/host.ts";
import type { Process } from "../../lab/process.ts";
import type { Datagram } from "./probe.ts";
import type { Programs } from "./programs.ts";

/** Another program that opens a port, on the same server. */
export interface Other {
  readonly name: string;
  /** The TCP port that it opens. */
  readonly opens: number;
  /** The UDP port that it watches. */
  readonly listens: number;
  readonly process: Process;
  datagrams(source: string): Datagram[] | Promise<Datagram[]>;
}

/** Shuts a TCP port by a rule of the server's own. */
async function shut(host: Host, port: number): Promise<void> {
  await host.must(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", String(port), "-j", "DROP"]);
}

/** Debian's fwknopd with what its configuration says when nobody changes it; `extra` lines are added. */
export async function startFwknop(
  host: Host,
  name: string,
  { opens, listens }: Pick<Other, "opens" | "listens">,
  extra: readonly string[] = [],
): Promise<Other> {
  await shut(host, opens);
  const folder = host.path(name);
  await mkdir(folder, { mode: 0o700 });
  const file = (part: string): string => `${folder}/${part}`;
  const [key, hmac] = [randomBytes(32).toString("base64"), randomBytes(64).toString("base64")];
  const keys = [`KEY_BASE64 ${key}`, `HMAC_KEY_BASE64 ${hmac}`];
  await writeFile(
    file("access.conf"),
    ["SOURCE ANY", `OPEN_PORTS tcp/${opens}`, ...keys, "FW_ACCESS_TIMEOUT 30", ""].join("\n"),
    { mode: 0o600 },
  );
  const chain = name.toUpperCase().replaceAll(/[^A-Z]/g, "_");
  const lines = [
    "PCAP_INTF eth0;",
    "ENABLE_PCAP_PROMISC N;",
    `PCAP_FILTER udp port ${listens};`,
    `FWKNOP_RUN_DIR ${folder};`,
    `IPT_INPUT_ACCESS ACCEPT, filter, INPUT, 1, ${chain}_INPUT, 1;`,
    ...extra,
  ];
  await writeFile(file("fwknopd.conf"), `${lines.join("\n")}\n`, { mode: 0o600 });
  await writeFile(
    file("rc"),
    ["[default]", "", "[server]", `SPA_SERVER ${host.address.v4}`, ...keys, "USE_HMAC Y", ""].join("\n"),
    { mode: 0o600 },
  );
  const process = host.start([
    "fwknopd",
    "--foreground",
    "--config-file",
    file("fwknopd.conf"),
    "--access-file",
    file("access.conf"),
    "--pid-file",
    file("pid"),
    "--digest-file",
    file("digests"),
  ]);
  await process.waitFor(/Starting fwknopd main event loop/);
  return {
    name,
    opens,
    listens,
    process,
    datagrams: async (source) => {
      const packet = file("packet");
      const access = ["-A", `tcp/${opens}`, "-a", source, "-D", host.address.v4];
      await host.must([
        "fwknop",
        ...access,
        "--rc-file",
        file("rc"),
        "-n",
        "server",
        "--test",
        "--save-packet",
        packet,
      ]);
      return [{ port: listens, delay: 0, bytes: Buffer.from((await readFile(packet, "latin1")).trim()) }];
    },
  };
}

/** The command that a user would run for the same, to be timed as a whole. */
export function fwknopCommand(host: Host, name: string, { opens, listens }: Other, source: string): string[] {
  const where = ["-A", `tcp/${opens}`, "-a", source, "-D", host.address.v4, "-p", String(listens)];
  return ["fwknop", ...where, "--rc-file", host.path(name, "rc"), "-n", "server"];
}

/** Debian's knockd: three datagrams, then one iptables rule. */
export async function startKnockd(host: Host, opens: number): Promise<Other> {
  await shut(host, opens);
  const ports = [7001, 7003, 7002];
  const rule = `-s %IP% -p tcp --dport ${opens} -j ACCEPT`;
  const text = `[options]
  logfile = ${host.path("knockd.log")}
  interface = eth0
[open]
  sequence = ${ports.map((port) => `${port}:udp`).join(",")}
  seq_timeout = 5
  start_command = /usr/sbin/iptables -I INPUT ${rule}
  cmd_timeout = 30
  stop_command = /usr/sbin/iptables -D INPUT ${rule}
`;
  await writeFile(host.path("knockd.conf"), text);
  const process: Process = host.start(["knockd", "-i", "eth0", "-c", host.path("knockd.conf")]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  if (!process.running) throw new Error(`knockd ended: ${process.stderr}`);
  const datagrams = ports.map((port) => ({ port, delay: 1_000, bytes: new Uint8Array(1) }));
  return { name: "knockd", opens, listens: 7002, process, datagrams: () => datagrams };
}

/** The least that can be done, in C: see c/door.c. */
export async function startDoor(
  host: Host,
  programs: Programs,
  { opens, listens }: Pick<Other, "opens" | "listens">,
): Promise<Other> {
  await host.must(["ipset", "create", "door", "hash:ip", "timeout", "30"]);
  const rule = ["INPUT", "-p", "tcp", "--dport", String(opens)];
  await host.must(["iptables", "-A", ...rule, "-m", "set", "--match-set", "door", "src", "-j", "ACCEPT"]);
  await shut(host, opens);
  const seal = randomBytes(32);
  const process = host.start([programs.door, String(listens), seal.toString("hex"), "door"]);
  await process.waitFor(/ready/);
  return {
    name: "C",
    opens,
    listens,
    process,
    datagrams: () => [
      {
        port: listens,
        delay: 0,
        bytes: sealPacket({ tag: randomBytes(8), seal }, randomBytes(24), randomBytes(96)),
      },
    ],
  };
}
