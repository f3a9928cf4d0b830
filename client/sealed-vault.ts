import { randomBytes, scryptSync } from "node:crypto";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ascii, base64url, concat, fromAscii, fromBase64url } from "../shared/bytes.ts";
import type { ServerInfo } from "../shared/enrolment.ts";
import { TockError } from "../shared/errors.ts";
import { decodeKeys, encodeKeys, parseJson } from "./profile.ts";
import type { Vault } from "./vault.ts";

/** What a sealed profile says of its key, in the clear. */
export type Lock =
  | {
      readonly kind: "passphrase";
      /** scrypt (RFC 7914): cost, block size, parallelism, 16 bytes of salt. */
      readonly n: number;
      readonly r: number;
      readonly p: number;
      readonly salt: string;
    }
  | { readonly kind: "keyring"; readonly account: string };

const KEY_BYTES = 32;
const NONCE_BYTES = 24;
/** 128 MiB and about half a second: what OWASP's password storage cheat sheet asks for. */
const SCRYPT = { n: 2 ** 17, r: 8, p: 1 } as const;
const SCRYPT_MOST = 2 ** 30;

export function newPassphraseLock(): Extract<Lock, { kind: "passphrase" }> {
  return { kind: "passphrase", ...SCRYPT, salt: base64url(randomBytes(16)) };
}

/** The 32-byte key that a passphrase and its lock give. It takes its time, on purpose. */
export function passphraseKey(passphrase: string, lock: Extract<Lock, { kind: "passphrase" }>): Uint8Array {
  const salt = fromBase64url(lock.salt) ?? new Uint8Array();
  const { n: N, r, p } = lock;
  return scryptSync(passphrase.normalize("NFC"), salt, KEY_BYTES, { N, r, p, maxmem: SCRYPT_MOST });
}

/**
 * Secrets sealed with XChaCha20-Poly1305 under a key that is not in the file, and bound to the server that they belong
 * to: box = nonce (24) || ciphertext and tag.
 */
export function sealedVault(name: string, info: ServerInfo, lock: Lock, key: Uint8Array): Vault {
  const bound = concat(ascii("tock profile"), info.serverId, ascii(info.device));
  return {
    open(stored) {
      if (stored.kind !== "sealed" || JSON.stringify(stored.lock) !== JSON.stringify(lock)) {
        throw new TockError("invalid", `profile ${name}: it was locked anew while this ran`, "try again");
      }
      const plain = decrypt(key, stored.box, bound);
      const keys = plain && decodeKeys(parseJson(fromAscii(plain)) ?? {});
      if (keys === undefined) throw new TockError("permission", `profile ${name}: ${WRONG[lock.kind]}`);
      return keys;
    },
    seal(keys) {
      const nonce = randomBytes(NONCE_BYTES);
      const plain = ascii(JSON.stringify(encodeKeys(keys)));
      const box = concat(nonce, xchacha20poly1305(key, nonce, bound).encrypt(plain));
      return { kind: "sealed", lock: { ...lock }, box };
    },
  };
}

function decrypt(key: Uint8Array, box: Uint8Array, bound: Uint8Array): Uint8Array | undefined {
  try {
    return xchacha20poly1305(key, box.subarray(0, NONCE_BYTES), bound).decrypt(box.subarray(NONCE_BYTES));
  } catch {
    return undefined;
  }
}

const WRONG = {
  passphrase: "the passphrase is wrong",
  keyring: "the key in the keyring does not fit",
} as const;

/** Checks what a file says of its lock; undefined for anything that this program does not write. */
export function parseLock(lock: Readonly<Record<string, unknown>>): Lock | undefined {
  const { kind, account, n, r, p, salt } = lock;
  if (kind === "keyring" && typeof account === "string" && Object.keys(lock).length === 2)
    return { kind, account };
  const cost = [n, r, p].every((value) => typeof value === "number" && Number.isInteger(value) && value > 0);
  if (kind !== "passphrase" || !cost || typeof salt !== "string") return undefined;
  const numbers = { n: n as number, r: r as number, p: p as number };
  const memory = 128 * numbers.n * numbers.r;
  if ((numbers.n & (numbers.n - 1)) !== 0 || memory >= SCRYPT_MOST || numbers.p > 16) return undefined;
  return { kind, ...numbers, salt };
}
