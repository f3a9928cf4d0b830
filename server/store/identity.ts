import { closeSync, fchownSync, openSync } from "node:fs";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import type { Database } from "./sqlite.ts";

/** Which server this is: made once by `tockd init`. */
export interface ServerIdentity {
  /** 16 random bytes. */
  readonly id: Uint8Array;
  /** X25519 secret key, 32 bytes; used by rotation alone. */
  readonly key: Secret;
}

/** An empty database file of mode 0600 that belongs to the folder's owner. One that is there already is `exists`. */
export function makeFile(file: string, owner: { uid: number; gid: number }): Result<void> {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "wx", 0o600);
    if (process.geteuid?.() === 0) fchownSync(descriptor, owner.uid, owner.gid);
    return ok(undefined);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      return err(
        new TockError(
          "exists",
          `device store ${file} exists already`,
          "nothing was changed; to begin anew, move the state folder away",
        ),
      );
    }
    return err(new TockError("io", `device store ${file}: cannot be made: ${code ?? message}`));
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Throws a TockError where `tockd init` did not come to its end. */
export function readIdentity(db: Database, file: string): ServerIdentity {
  const { id, key } = db.get("SELECT id, key FROM server") ?? {};
  if (!(id instanceof Uint8Array && key instanceof Uint8Array && id.length === 16 && key.length === 32)) {
    throw new TockError(
      "io",
      `device store ${file}: has no server identity`,
      "was tockd init cut short? remove the file and run it again",
    );
  }
  return { id, key: new Secret(key) };
}
