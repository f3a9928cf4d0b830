import { type Extractor, expand } from "../../shared/key-schedule.ts";
import { STATE_WORDS } from "../../shared/hmac.ts";
import type { Secret } from "../../shared/secret.ts";

const KEYS_PER_CHUNK = 1024;

/**
 * The extracted keys of many secrets, 64 bytes each, in few large arrays: a million objects would cost ten times as much
 * and give the garbage collector work. A place that is given back is overwritten with zeros.
 */
export class KeyArena {
  readonly #extractor: Extractor;
  readonly #chunks: Int32Array[] = [];
  readonly #free: number[] = [];
  #used = 0;

  constructor(extractor: Extractor) {
    this.#extractor = extractor;
  }

  /** Does HKDF's extract; gives the place of the key. */
  add(secret: Secret): number {
    const place = this.#free.pop() ?? this.#used++;
    const number = Math.floor(place / KEYS_PER_CHUNK);
    const chunk = (this.#chunks[number] ??= new Int32Array(KEYS_PER_CHUNK * STATE_WORDS));
    this.#extractor.extract(secret, chunk, (place % KEYS_PER_CHUNK) * STATE_WORDS);
    return place;
  }

  /** Forgets a key. The place must not be used again. */
  remove(place: number): void {
    const at = (place % KEYS_PER_CHUNK) * STATE_WORDS;
    this.#chunks[Math.floor(place / KEYS_PER_CHUNK)]?.fill(0, at, at + STATE_WORDS);
    this.#free.push(place);
  }

  /** HKDF's expand with the key at a place: fills `out`, and allocates nothing. */
  expand(place: number, info: Uint8Array, out: Uint8Array): void {
    const chunk = this.#chunks[Math.floor(place / KEYS_PER_CHUNK)];
    if (chunk === undefined) throw new RangeError(`key arena: expected a place that was given, got ${place}`);
    expand(chunk, (place % KEYS_PER_CHUNK) * STATE_WORDS, info, out);
  }
}
