import { resolve } from "node:path";
import { usage } from "./ui.ts";

/** The words that start this very program again, as absolute paths, so that they work from everywhere. */
export function ownCommand(): string[] {
  const script = process.argv[1];
  return script === undefined ? [process.execPath] : [process.execPath, resolve(script)];
}

/** One word of a POSIX shell's command line, or of cmd.exe's. Other shells on Windows take the same quotes. */
export function shellWord(word: string, platform: NodeJS.Platform = process.platform): string {
  if (/^[A-Za-z0-9_./:=@%+,-]+$/.test(word)) return word;
  if (platform !== "win32") return `'${word.replaceAll("'", "'\\''")}'`;
  if (word.includes('"')) throw usage(`cannot quote ${word} for a command line of Windows`);
  return `"${word}"`;
}

/**
 * The ProxyCommand that ssh runs for a profile: ssh fills in %h and %p, so a % of our own is written twice. TOCK_HOME
 * goes along, since the ssh that runs it later may not have it.
 */
export function proxyCommand(profile: string, options: readonly string[] = []): string {
  const home = process.env["TOCK_HOME"];
  const carries = home !== undefined && home !== "" && process.platform !== "win32";
  const words = [
    ...(carries ? ["env", `TOCK_HOME=${resolve(home)}`] : []),
    ...ownCommand(),
    "proxy",
    ...options,
    profile,
  ];
  return `${words.map((word) => shellWord(word).replaceAll("%", "%%")).join(" ")} %h %p`;
}
