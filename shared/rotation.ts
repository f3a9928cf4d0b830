import { x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { ascii, concat } from "./bytes.ts";
import { SECRET_BYTES } from "./constants.ts";
import { Secret } from "./secret.ts";

/** The public key, 32 bytes (RFC 7748 §5), of an X25519 secret key of 32 random bytes. */
export function publicKey(secretKey: Secret): Uint8Array {
  return x25519.getPublicKey(secretKey.expose());
}

/**
 * The secret that follows `current`:
 * HKDF-SHA256(ikm = X25519(own, their) || current, salt = "tock/1 rotate" || server id, info = ephemeral public key, 32).
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
  const shared = agree(own, their);
  if (shared === undefined) return undefined;
  const ikm = concat(shared, current.expose());
  return new Secret(
    hkdf(sha256, ikm, concat(ascii("tock/1 rotate"), serverId), ephemeralPublic, SECRET_BYTES),
  );
}

function agree(own: Secret, their: Uint8Array): Uint8Array | undefined {
  if (their.length !== 32) return undefined;
  try {
    return x25519.getSharedSecret(own.expose(), their);
  } catch {
    return undefined;
  }
}
