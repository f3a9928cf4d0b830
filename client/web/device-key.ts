import type { TimeStep } from "../../shared/brand.ts";
import { base64 } from "../../shared/bytes.ts";
import { info, LABEL_BYTES, type Label, type StepKeys, salt } from "../../shared/key-schedule.ts";
import { ROTATION_INFO } from "../../shared/rotation.ts";
import { SECRET_BYTES } from "../../shared/constants.ts";
import { Secret } from "../../shared/secret.ts";

/** The device secret as a key that scripts can use and not read: HKDF, non-extractable (W3C Web Cryptography, §31). */
export async function importSecret(bytes: Uint8Array): Promise<CryptoKey> {
  const raw = Uint8Array.from(bytes);
  try {
    return await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
  } finally {
    raw.fill(0);
  }
}

/** K(label, step), as shared/key-schedule.ts derives it from the bytes. */
export function derive(
  key: CryptoKey,
  serverId: Uint8Array,
  label: Label,
  step: TimeStep,
  block = 0,
): Promise<Uint8Array> {
  return expand(key, serverId, info(label, step, block), LABEL_BYTES[label]);
}

export async function stepKeys(key: CryptoKey, serverId: Uint8Array, step: TimeStep): Promise<StepKeys> {
  const [tag, seal, ack, ice] = await Promise.all(
    (["tag", "seal", "ack", "ice"] as const).map((label) => derive(key, serverId, label, step)),
  );
  if (!tag || !seal || !ack || !ice) throw new Error("four keys");
  return { tag, seal, ack, ice: base64(ice) };
}

/** R of a rotation: all that a key which cannot be exported gives to the next secret. */
export async function rotationRootOf(key: CryptoKey, serverId: Uint8Array): Promise<Secret> {
  const root = await expand(key, serverId, ROTATION_INFO, SECRET_BYTES);
  const secret = new Secret(root);
  root.fill(0);
  return secret;
}

async function expand(
  key: CryptoKey,
  serverId: Uint8Array,
  info: Uint8Array,
  length: number,
): Promise<Uint8Array> {
  const algorithm = {
    name: "HKDF",
    hash: "SHA-256",
    salt: Uint8Array.from(salt(serverId)),
    info: Uint8Array.from(info),
  };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, length * 8));
}
