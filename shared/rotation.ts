import { x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { ascii, concat } from "./bytes.ts";
import { SECRET_BYTES } from "./constants.ts";
import { salt } from "./key-schedule.ts";
import { Secret } from "./secret.ts";

/** The public key, 32 bytes (RFC 7748 §5), of an X25519 secret key of 32 random bytes. */
export function publicKey(secretKey: Secret): Uint8Array {
  return x25519.getPublicKey(secretKey.expose());
}

/**
 * R = HKDF-SHA256(ikm = device secret, salt = "tock/1" || server id, info = "rotate", 32): what the current secret gives
 * to the next one. It stands between the two so that a key that cannot be exported (WebCrypto's) can rotate all the same.
 */
export function rotationRoot(current: Secret, serverId: Uint8Array): Secret {
  return new Secret(hkdf(sha256, current.expose(), salt(serverId), ROTATION_INFO, SECRET_BYTES));
}

/** The `info` of {@link rotationRoot}. Every other one ends in the 8 bytes of a time step, so none is the same. */
export const ROTATION_INFO: Uint8Array = ascii("rotate");

/**
 * The secret that follows `current`:
 * HKDF-SHA256(ikm = X25519(own, their) || R, salt = "tock/1 rotate" || server id, info = ephemeral public key, 32).
 *
 * The client gives its ephemeral secret key and the server's public key; the daemon its server key and the ephemeral
 * public key; both arrive at the same secret. A copy of `current` and a record of all traffic do not.
 * Undefined where `their` is a point of small order (RFC 7748 §6.1), which would take the agreement out of the result.
 */
export function nextSecret(
  current: Secret,
  own: Secret,
  their: Uint8Array,
  ephemeralPublic: Uint8Array,
  serverId: Uint8Array,
): Secret | undefined {
  const root = rotationRoot(current, serverId);
  const next = nextSecretFromRoot(root, own, their, ephemeralPublic, serverId);
  root.wipe();
  return next;
}

/** {@link nextSecret} for whoever holds R and not the secret itself. */
export function nextSecretFromRoot(
  root: Secret,
  own: Secret,
  their: Uint8Array,
  ephemeralPublic: Uint8Array,
  serverId: Uint8Array,
): Secret | undefined {
  const shared = agree(own, their);
  if (shared === undefined) return undefined;
  const ikm = concat(shared, root.expose());
  const next = hkdf(sha256, ikm, concat(ascii("tock/1 rotate"), serverId), ephemeralPublic, SECRET_BYTES);
  const secret = new Secret(next);
  for (const bytes of [shared, ikm, next]) bytes.fill(0);
  return secret;
}

function agree(own: Secret, their: Uint8Array): Uint8Array | undefined {
  if (their.length !== 32) return undefined;
  try {
    return x25519.getSharedSecret(own.expose(), their);
  } catch {
    return undefined;
  }
}
