import { randomBytes } from "node:crypto";
import type * as Keyring from "@napi-rs/keyring";
import { base64url, fromBase64url } from "../shared/bytes.ts";
import { TockError } from "../shared/errors.ts";

/** Keys of profiles in the platform's keyring: Keychain, Credential Manager, Secret Service. An optional package does it. */
const SERVICE = "tock";
const KEY_BYTES = 32;

async function load(): Promise<typeof Keyring> {
  try {
    return await import("@napi-rs/keyring");
  } catch {
    const hint = "npm install -g @napi-rs/keyring, or use a passphrase instead";
    throw new TockError(
      "io",
      "there is no keyring here: the package @napi-rs/keyring is not installed",
      hint,
    );
  }
}

/** Makes a key and puts it into the keyring. Gives it with the name that it has there. */
export async function storeNewKey(name: string): Promise<{ account: string; key: Uint8Array }> {
  const { AsyncEntry } = await load();
  const key = randomBytes(KEY_BYTES);
  const account = `${name} ${base64url(randomBytes(6))}`;
  await speak(new AsyncEntry(SERVICE, account).setPassword(base64url(key)));
  return { account, key };
}

export async function fetchKey(name: string, account: string): Promise<Uint8Array> {
  const { AsyncEntry } = await load();
  const text = await speak(new AsyncEntry(SERVICE, account).getPassword());
  const key = fromBase64url(text ?? "");
  if (key?.length === KEY_BYTES) return key;
  const hint = `without it the profile is lost: tock forget ${name}, and enrol again`;
  throw new TockError("not-found", `profile ${name}: its key is not in the keyring`, hint);
}

/** Removes a key; a keyring that cannot be reached, or has none, is no obstacle to forgetting. */
export async function dropKey(account: string): Promise<void> {
  try {
    const { AsyncEntry } = await load();
    await new AsyncEntry(SERVICE, account).deletePassword();
  } catch {
    // What is left there opens nothing.
  }
}

async function speak<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    const hint = "is the keyring unlocked, and is a session bus running? a passphrase works without either";
    throw new TockError("io", `the keyring failed: ${(error as Error).message}`, hint);
  }
}
