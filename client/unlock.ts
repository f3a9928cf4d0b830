import { TockError } from "../shared/errors.ts";
import type { Given, Options } from "./args.ts";
import type { Profile } from "./profile.ts";
import { askHidden, lineFromDescriptor } from "./prompt.ts";
import { usage } from "./ui.ts";
import { wholeNumber } from "./values.ts";
import { plainVault, type Vault } from "./vault.ts";

export const UNLOCK = {
  "passphrase-fd": { value: "number", help: "read the profile's passphrase from this descriptor" },
} as const satisfies Options;

/** The vault that opens a profile: asks for its passphrase or fetches the key from the keyring, where it is sealed. */
export async function unlock(profile: Profile, given: Given<typeof UNLOCK>): Promise<Vault> {
  if (profile.keys.kind === "plain") return plainVault;
  const { parseLock, passphraseKey, sealedVault } = await import("./sealed-vault.ts");
  const { name, info } = profile;
  const lock = parseLock(profile.keys.lock);
  if (lock === undefined) {
    throw new TockError(
      "invalid",
      `profile ${name}: it is locked in a way that this tock does not know`,
      "update tock",
    );
  }
  if (lock.kind === "keyring") {
    const { fetchKey } = await import("./keyring.ts");
    return sealedVault(name, info, lock, await fetchKey(name, lock.account));
  }
  const passphrase = await existingPassphrase(name, given);
  return sealedVault(name, info, lock, passphraseKey(passphrase, lock));
}

async function existingPassphrase(name: string, given: Given<typeof UNLOCK>): Promise<string> {
  const fd = wholeNumber("passphrase-fd", given["passphrase-fd"], 0, 1023);
  if (fd !== undefined) return lineFromDescriptor("passphrase-fd", fd);
  const typed = await askHidden(`passphrase of profile ${name}: `);
  if (typed !== undefined) return typed;
  throw usage(
    `profile ${name} asks for a passphrase, and there is no terminal`,
    "give it with --passphrase-fd",
  );
}

/** A passphrase that is set for the first time; on a terminal it is typed twice. */
export async function newPassphrase(given: Given<typeof UNLOCK>): Promise<string> {
  const fd = wholeNumber("passphrase-fd", given["passphrase-fd"], 0, 1023);
  const first =
    fd === undefined ? await askHidden("new passphrase: ") : lineFromDescriptor("passphrase-fd", fd);
  if (first === undefined)
    throw usage("there is no terminal to ask for a passphrase", "give it with --passphrase-fd");
  if (first.length < 8) throw usage(`the passphrase has ${first.length} characters, and needs 8 or more`);
  if (fd === undefined && (await askHidden("the same again: ")) !== first)
    throw usage("the two passphrases differ");
  return first;
}
