import { TockError } from "../shared/errors.ts";
import type { Keys, StoredKeys } from "./profile.ts";

/** How the secrets of a profile get out of its file and into it again. */
export interface Vault {
  /** Throws a TockError where the key does not fit. */
  open(stored: StoredKeys): Keys;
  seal(keys: Keys): StoredKeys;
}

/** Secrets in the clear, guarded by the file's mode. */
export const plainVault: Vault = {
  open(stored) {
    if (stored.kind === "plain") return stored.keys;
    throw new TockError("invalid", "the profile was locked while this ran", "try again");
  },
  seal: (keys) => ({ kind: "plain", keys }),
};
