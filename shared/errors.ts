/**
 * What can go wrong, as a closed union, so that a program can tell cases apart without reading English.
 *
 * - `usage`: the words of a call are off
 * - `invalid`: a value (address, link, packet, file) is not of the form it should have
 * - `config`: the configuration file has mistakes
 * - `not-found`: a profile, device, service or file that was named does not exist
 * - `exists`: what should be made is there already
 * - `permission`: a file's mode or owner, or a missing privilege, stands in the way
 * - `io`: the file system or the network failed
 * - `firewall`: the kernel or a firewall tool refused
 * - `refused`: the server answered, and said no
 * - `no-reply`: the packet was sent and nothing confirmed it
 */
export type ErrorCode =
  | "usage"
  | "invalid"
  | "config"
  | "not-found"
  | "exists"
  | "permission"
  | "io"
  | "firewall"
  | "refused"
  | "no-reply";

/**
 * An error for people: lower case, no full stop; names the argument, what was expected and what came.
 * `hint` says what to do. It never holds a secret.
 */
export class TockError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, hint?: string) {
    super(message);
    this.name = "TockError";
    this.code = code;
    this.hint = hint;
  }
}
