import type { TimeStep } from "./brand.ts";
import { ascii, base64, concat, u64 } from "./bytes.ts";
import { hmac, hmacKey, STATE_WORDS } from "./hmac.ts";
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

const DIGEST_BYTES = 32;

/** "tock/1" || server id. */
export function salt(serverId: Uint8Array): Uint8Array {
  return concat(ascii("tock/1"), serverId);
}

/** label || u64(T); for the blocks of a knock sequence after the first, label || u8(block) || u64(T). */
export function info(label: Label, step: TimeStep, block = 0): Uint8Array {
  const name = ascii(label);
  return concat(block === 0 ? name : concat(name, Uint8Array.of(block)), u64(step));
}

/** HKDF's extract for one server (RFC 5869 §2.2). A pseudorandom key lives on as its HMAC state: see hmac.ts. */
export class Extractor {
  readonly #salt = new Int32Array(STATE_WORDS);
  readonly #key = new Uint8Array(DIGEST_BYTES);
  readonly #keyView = new DataView(this.#key.buffer);

  constructor(serverId: Uint8Array) {
    hmacKey(salt(serverId), this.#salt, 0);
  }

  /** Writes the state that `expand` takes, STATE_WORDS words, to `states` at word `at`. */
  extract(secret: Secret, states: Int32Array, at: number): void {
    hmac(this.#salt, 0, secret.expose(), secret.length, this.#keyView);
    hmacKey(this.#key, states, at);
    this.#key.fill(0);
  }
}

const message = new Uint8Array(64);
const messageView = new DataView(message.buffer);

/** HKDF's expand (RFC 5869 §2.3) with the key at word `at`, for an info of at most 22 bytes: fills `out`. */
export function expand(states: Int32Array, at: number, info: Uint8Array, out: Uint8Array): void {
  for (let done = 0; done < out.length; done += DIGEST_BYTES) {
    // T(n) = HMAC(T(n - 1) || info || n)
    const before = done === 0 ? 0 : DIGEST_BYTES;
    for (let index = 0; index < info.length; index++) message[before + index] = info[index] ?? 0;
    message[before + info.length] = done / DIGEST_BYTES + 1;
    hmac(states, at, message, before + info.length + 1, messageView);
    const size = Math.min(DIGEST_BYTES, out.length - done);
    for (let index = 0; index < size; index++) out[done + index] = message[index] ?? 0;
  }
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

const KEPT_STEPS = 4;

/** One device's keys, step by step. HKDF's extract is done once. */
export class KeySchedule {
  readonly #states = new Int32Array(STATE_WORDS);
  readonly #kept: { readonly step: TimeStep; readonly key: Uint8Array }[] = [];

  constructor(secret: Secret, serverId: Uint8Array) {
    new Extractor(serverId).extract(secret, this.#states, 0);
  }

  /** K(label, step) of the label's own length. */
  derive(label: Label, step: TimeStep, block = 0): Uint8Array {
    const key = new Uint8Array(LABEL_BYTES[label]);
    expand(this.#states, 0, info(label, step, block), key);
    return key;
  }

  /**
   * The AEAD key of packets or of replies, which must not be changed: those of some steps are kept, so that many packets of one device,
   * or of whoever floods with a tag that he saw, do not cost a key derivation each.
   */
  aead(label: "seal" | "ack", step: TimeStep): Uint8Array {
    const place = (step % KEPT_STEPS) + (label === "seal" ? 0 : KEPT_STEPS);
    const kept = this.#kept[place];
    if (kept?.step === step) return kept.key;
    const key = this.derive(label, step);
    this.#kept[place] = { step, key };
    return key;
  }

  tag(step: TimeStep): Uint8Array {
    return this.derive("tag", step);
  }

  /** 24 characters of base64. */
  ice(step: TimeStep): string {
    return base64(this.derive("ice", step));
  }

  keys(step: TimeStep): StepKeys {
    return {
      tag: this.derive("tag", step),
      seal: this.derive("seal", step),
      ack: this.derive("ack", step),
      ice: this.ice(step),
    };
  }
}
