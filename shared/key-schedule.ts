import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { TimeStep } from "./brand.ts";
import { ascii, base64, concat, u64 } from "./bytes.ts";
import type { Secret } from "./secret.ts";

/**
 * The key schedule: K(label, T, length) = HKDF-SHA256(ikm = device secret, salt = "tock/1" || server id,
 * info = label || u64(T), length), RFC 5869.
 *
 * `salt` and `info` stand alone so that a browser can do the same with a non-extractable WebCrypto key.
 */
export type Label = "tag" | "seal" | "ack" | "ice" | "knock";

export const LABEL_BYTES = { tag: 8, seal: 32, ack: 32, ice: 18, knock: 64 } as const satisfies Record<
  Label,
  number
>;

/** "tock/1" || server id. */
export function salt(serverId: Uint8Array): Uint8Array {
  return concat(ascii("tock/1"), serverId);
}

/** label || u64(T); for the blocks of a knock sequence after the first, label || u8(block) || u64(T). */
export function info(label: Label, step: TimeStep, block = 0): Uint8Array {
  const name = ascii(label);
  return concat(block === 0 ? name : concat(name, Uint8Array.of(block)), u64(step));
}

/** What one step needs to make or check a packet. */
export interface StepKeys {
  /** 8 bytes, sent in the clear. */
  readonly tag: Uint8Array;
  /** 32 bytes: the AEAD key of the packet. */
  readonly seal: Uint8Array;
  /** 32 bytes: the AEAD key of the reply. */
  readonly ack: Uint8Array;
  /** 24 characters of base64: the ICE password of the STUN form. */
  readonly ice: string;
}

/** One device's keys, step by step. HKDF's extract is done once. */
export class KeySchedule {
  readonly #prk: Uint8Array;

  constructor(secret: Secret, serverId: Uint8Array) {
    this.#prk = extract(sha256, secret.expose(), salt(serverId));
  }

  /** K(label, step) of the label's own length. */
  derive(label: Label, step: TimeStep, block = 0): Uint8Array {
    return expand(sha256, this.#prk, info(label, step, block), LABEL_BYTES[label]);
  }

  tag(step: TimeStep): Uint8Array {
    return this.derive("tag", step);
  }

  keys(step: TimeStep): StepKeys {
    return {
      tag: this.derive("tag", step),
      seal: this.derive("seal", step),
      ack: this.derive("ack", step),
      ice: base64(this.derive("ice", step)),
    };
  }
}
