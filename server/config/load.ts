import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { type ErrorCode, TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { parseSettings } from "./parse.ts";
import type { Settings } from "./settings.ts";

export const DEFAULT_CONFIG = "/etc/tock/tockd.toml";
const MOST_BYTES = 1024 * 1024;

type Loaded<T> = Result<T, readonly TockError[]>;

/**
 * Reads, checks and completes the configuration file, or gives everything that is wrong with it.
 * A file that others than root and this process's user could have written is refused: whoever writes it opens ports.
 */
export function loadSettings(file: string = DEFAULT_CONFIG): Loaded<Settings> {
  const bytes = readTrusted(file);
  if (!bytes.ok) return bytes;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.value);
  } catch {
    return err([new TockError("invalid", `${file}: expected UTF-8 text`, "save the file as UTF-8")]);
  }
  return parseSettings(text, file);
}

/** What is in the file, whatever it means; an error where others could have written it: then nothing in it counts. */
export function readTrusted(file: string): Loaded<Buffer> {
  const refuse = (code: ErrorCode, message: string, hint?: string): Loaded<never> =>
    err([new TockError(code, `${file}: ${message}`, hint)]);
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return refuse(...unreadable(error as NodeJS.ErrnoException));
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile())
      return refuse("permission", "expected a regular file", "name the file itself: --config FILE");
    const danger =
      writableByOthers(stat, "the file") ?? writableByOthers(statSync(dirname(file)), "its folder");
    if (danger !== undefined)
      return refuse("permission", danger, `whoever can write it can open ports: chown root, chmod go-w`);
    if (stat.size > MOST_BYTES)
      return refuse("invalid", `expected at most ${MOST_BYTES} bytes, got ${stat.size}`);
    return ok(readFileSync(descriptor));
  } catch (error) {
    return refuse(...unreadable(error as NodeJS.ErrnoException));
  } finally {
    closeSync(descriptor);
  }
}

function unreadable({ code, message }: NodeJS.ErrnoException): [ErrorCode, string, string?] {
  if (code === "ENOENT" || code === "ENOTDIR") {
    return ["not-found", "no such file", "make one with tockd init, or name yours with --config FILE"];
  }
  if (code === "EACCES")
    return ["permission", "no permission to read it", "run as root, or as the daemon's own user"];
  return ["io", `cannot be read: ${code ?? message}`];
}

/** Why somebody other than root and this process's user could change it, or undefined. */
function writableByOthers(stat: Stats, what: string): string | undefined {
  const isSticky = stat.isDirectory() && (stat.mode & 0o1000) !== 0;
  if (stat.uid !== 0 && stat.uid !== process.geteuid?.()) return `${what} belongs to user ${stat.uid}`;
  if ((stat.mode & 0o022) !== 0 && !isSticky) {
    return `${what} can be written by others (mode ${(stat.mode & 0o777).toString(8).padStart(4, "0")})`;
  }
  return undefined;
}
