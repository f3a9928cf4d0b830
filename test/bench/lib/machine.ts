import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { run } from "../../lab/exec.ts";

/** What the figures were taken on, and with which versions. */
export async function machine(): Promise<Readonly<Record<string, string>>> {
  const version = async (pattern: RegExp, ...argv: [string, ...string[]]): Promise<string> => {
    const { stdout, stderr } = await run(argv);
    return pattern.exec(stdout + stderr)?.[0] ?? "unknown";
  };
  const { version: own } = JSON.parse(
    readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
  ) as { version: string };
  return {
    date: new Date().toISOString().slice(0, 10),
    processors: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    load: loadavg()
      .map((load) => load.toFixed(1))
      .join(" "),
    tock: own,
    node: process.version,
    fwknop: await version(/[0-9]+\.[0-9]+\.[0-9]+/, "fwknopd", "--version"),
    knockd: await version(/[0-9]+\.[0-9]+/, "knockd", "--version"),
    iptables: await version(/v[0-9.]+ \(\w+\)/, "iptables", "--version"),
    nftables: await version(/v[0-9.]+/, "nft", "--version"),
    gcc: await version(/[0-9]+\.[0-9]+\.[0-9]+/, "gcc", "--version"),
  };
}
