import { ascii } from "../../shared/bytes.ts";
import { random } from "./random.ts";

/** A secret under a passphrase: PBKDF2-SHA-256, then AES-256-GCM. Also the shape that a backup carries. */
export interface Box {
  readonly salt: Uint8Array<ArrayBuffer>;
  readonly rounds: number;
  /** 12 bytes, made anew for each box. */
  readonly iv: Uint8Array<ArrayBuffer>;
  readonly sealed: Uint8Array<ArrayBuffer>;
}

/** What OWASP's password storage guidance asks of PBKDF2-SHA-256. */
export const ROUNDS = 600_000;
/** A box that claims more than this came from somebody who wants the browser to hang. */
export const MOST_ROUNDS = 10_000_000;
export const LEAST_CHARACTERS = 10;

const CONTEXT = Uint8Array.from(ascii("tock/1 box"));

/** Seals 32 bytes. */
export async function sealBox(secret: Uint8Array, passphrase: string): Promise<Box> {
  const [salt, iv] = [random(16), random(12)];
  const key = await keyOf(passphrase, salt, ROUNDS, "encrypt");
  const sealed = await crypto.subtle.encrypt(gcm(iv), key, Uint8Array.from(secret));
  return { salt, rounds: ROUNDS, iv, sealed: new Uint8Array(sealed) };
}

/** The secret as a key that cannot be exported; undefined for a wrong passphrase or a damaged box. */
export async function unlockBox(box: Box, passphrase: string): Promise<CryptoKey | undefined> {
  const key = await keyOf(passphrase, box.salt, box.rounds, "unwrapKey");
  try {
    return await crypto.subtle.unwrapKey("raw", box.sealed, key, gcm(box.iv), "HKDF", false, ["deriveBits"]);
  } catch {
    return undefined;
  }
}

function gcm(iv: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: CONTEXT };
}

async function keyOf(passphrase: string, salt: Uint8Array<ArrayBuffer>, rounds: number, use: KeyUsage) {
  // The same passphrase typed on two keyboards may differ in its code points.
  const bytes = new TextEncoder().encode(passphrase.normalize("NFKC"));
  const base = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveKey"]);
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds };
  return crypto.subtle.deriveKey(algorithm, base, { name: "AES-GCM", length: 256 }, false, [use]);
}
