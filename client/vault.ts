import type { Keys, StoredKeys } from "./profile.ts";

/** How the secrets of a profile get into its file and out of it. */
export interface Vault {
  open(stored: StoredKeys): Keys;
  seal(keys: Keys): StoredKeys;
}

/** Secrets in the clear, guarded by the file's mode. */
export const plainVault: Vault = {
  open(stored) {
    if (stored.kind !== "plain") throw new Error("vault: expected secrets in the clear");
    return stored.keys;
  },
  seal: (keys) => ({ kind: "plain", keys }),
};
