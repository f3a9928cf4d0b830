import { type ErrorCode, TockError } from "./errors.ts";

const WORDS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ["not-found", "no such file or folder"],
  ENOTDIR: ["not-found", "a part of the path is no folder"],
  EISDIR: ["io", "it is a folder"],
  EEXIST: ["exists", "there is a file of that name"],
  EACCES: ["permission", "no permission"],
  EPERM: ["permission", "no permission"],
  EROFS: ["io", "the file system is read-only"],
  ENOSPC: ["io", "no space left"],
  EADDRINUSE: ["io", "something listens there already"],
  EADDRNOTAVAIL: ["io", "this machine has no such address"],
  ENOTFOUND: ["io", "there is no such host name"],
};

/**
 * An error of the operating system in words: `what` (such as `--out: cannot write FILE`), a colon and the reason. What is
 * no such error, and so a bug, is thrown again.
 */
export function ioError(what: string, error: unknown, hint: string): TockError {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  if (typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) throw error;
  const [kind, reason] = WORDS[code] ?? ["io", code];
  return new TockError(kind, `${what}: ${reason}`, hint);
}
