import { spawnSync } from "node:child_process";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";

/** A program and its arguments. Never a shell string. */
export type Command = readonly [string, ...string[]];

/** Takes one line, for the debug level: what is about to be done to the packet filter. */
export type Log = (line: string) => void;

const TIMEOUT = 20_000;

/** Where firewall tools live, also for a caller whose PATH leaves these folders out. */
export function toolPath(): string {
  return `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
}

/** Runs a command to its end with `input` on its standard input, after logging both. Ok = exit code 0, with its output. */
export function runCommand(
  command: Command,
  log: Log,
  input = "",
  level: "change" | "look" = "change",
): Result<string> {
  const [program, ...args] = command;
  if (level === "change") {
    log(`[#] ${command.join(" ")}`);
    for (const line of input.split("\n").filter(Boolean)) log(`[#]   ${line}`);
  }
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    input,
    encoding: "utf8",
    timeout: TIMEOUT,
    maxBuffer: 64 * 2 ** 20,
    env: { PATH: toolPath(), LC_ALL: "C" },
  });
  if (error !== undefined && (error as NodeJS.ErrnoException).code === "ENOENT") {
    return err(
      new TockError("firewall", `${program}: not found`, `install the package that brings ${program}`),
    );
  }
  if (status === 0) return ok(stdout);
  const said = signal === null ? firstLines(stderr) : `ended by ${signal}`;
  const why = said === "" ? (error?.message ?? "failed") : said;
  const ending = status === null ? "" : ` (exit code ${status})`;
  return err(new TockError("firewall", `${program}: ${why}${ending}`, hintFor(stderr)));
}

function firstLines(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a tool printed goes to a terminal and to logs
  return lines
    .filter(Boolean)
    .slice(0, 3)
    .join("; ")
    .replace(/[\u0000-\u001f\u007f]/g, "?")
    .slice(0, 300);
}

function hintFor(stderr: string): string | undefined {
  if (/lock file/i.test(stderr)) {
    return "iptables-legacy must write its lock, /run/xtables.lock: allow it, or use iptables-nft or the nftables backend";
  }
  if (/permission denied|not permitted|must be root/i.test(stderr)) {
    return "it needs CAP_NET_ADMIN: run it as root or through its unit";
  }
  if (/xtables lock/i.test(stderr)) return "another program holds the xtables lock: try again";
  if (/can't initialize|does not exist|No such file|missing kernel module|Extension .* not/i.test(stderr)) {
    return "this kernel may lack a module that the guard needs: xt_set, xt_multiport, xt_addrtype, xt_conntrack, xt_comment";
  }
  return undefined;
}
