const HIDDEN = "[secret]";

/**
 * Key material that does not show itself: printed, logged, put into JSON or inspected it reads `[secret]`.
 * Only `expose` gives the bytes.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  /** The bytes are copied (not by slice(): that of a Node Buffer is a view of the pool that it came from). */
  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, not a copy: hand them to a primitive and nowhere else. */
  expose(): Uint8Array {
    return this.#bytes;
  }

  equals(other: Secret): boolean {
    return constantTimeEqual(this.#bytes, other.#bytes);
  }

  /** Overwrites the bytes with zeros. What other code copied from them stays. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return HIDDEN;
  }
}

/** Whether two byte strings are the same, in a time that depends on their lengths alone. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}
