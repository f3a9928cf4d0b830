import type { ServerInfo } from "../shared/enrolment.ts";
import type { Given, Options } from "./args.ts";
import { newPassphrase, UNLOCK } from "./unlock.ts";
import { usage } from "./ui.ts";
import { plainVault, type Vault } from "./vault.ts";

/** How a profile's secrets are to be kept from now on. */
export const PROTECTION = {
  passphrase: { help: "seal the secrets under a passphrase, which each use asks for" },
  keyring: { help: "seal the secrets under a key in the platform's keyring" },
  ...UNLOCK,
} as const satisfies Options;

/** The vault by the options; secrets in the clear (in a file that only the user can read) without any. */
export async function chosenVault(
  name: string,
  info: ServerInfo,
  given: Given<typeof PROTECTION>,
): Promise<Vault> {
  if (given.passphrase && given.keyring)
    throw usage("--passphrase and --keyring are given both", "choose one of them");
  if (!given.passphrase && !given.keyring) return plainVault;
  const { newPassphraseLock, passphraseKey, sealedVault } = await import("./sealed-vault.ts");
  if (given.passphrase) {
    const lock = newPassphraseLock();
    return sealedVault(name, info, lock, passphraseKey(await newPassphrase(given), lock));
  }
  const { storeNewKey } = await import("./keyring.ts");
  const { account, key } = await storeNewKey(name);
  return sealedVault(name, info, { kind: "keyring", account }, key);
}

/** Removes what a lock that is not used any more left in the keyring. */
export async function dropKeyOf(lock: Readonly<Record<string, unknown>>): Promise<void> {
  const { account } = lock;
  if (lock["kind"] !== "keyring" || typeof account !== "string") return;
  const { dropKey } = await import("./keyring.ts");
  await dropKey(account);
}
