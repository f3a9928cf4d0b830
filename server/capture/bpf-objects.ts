import { addressOf, bpf, close } from "../sys/libc.ts";

/** linux/bpf.h: enum bpf_cmd and the parts of union bpf_attr that are used here. Numbers are little-endian. */
const MAP_CREATE = 0;
const PROGRAM_LOAD = 5;
const MAP_LOOKUP_BATCH = 24;
const MAP_UPDATE_BATCH = 26;
const MAP_DELETE_BATCH = 27;
const HASH = 1;
const SOCKET_FILTER = 1;

const ENOENT = 2;
const KEY_BYTES = 8;
const VALUE_BYTES = 4;
/** Keys a system call; bounds the memory that stands in for values. */
const BATCH = 4096;
const NAME = Buffer.from("tock\0");
const LICENCE = Buffer.from("GPL\0");
const VALUES = Buffer.allocUnsafeSlow(BATCH * VALUE_BYTES).fill(0);

/** A set of 8-byte keys in the kernel: a hash map whose values mean nothing. Needs Linux 5.6 for its batches. */
export class KeySet {
  readonly fd: number;
  readonly capacity: number;

  private constructor(fd: number, capacity: number) {
    this.fd = fd;
    this.capacity = capacity;
  }

  /** Or -errno: EPERM without CAP_BPF, ENOSYS or EINVAL where the kernel does not know it. */
  static create(capacity: number): KeySet | number {
    const attributes = Buffer.allocUnsafeSlow(48).fill(0);
    attributes.writeUInt32LE(HASH, 0);
    attributes.writeUInt32LE(KEY_BYTES, 4);
    attributes.writeUInt32LE(VALUE_BYTES, 8);
    attributes.writeUInt32LE(capacity, 12);
    attributes.set(NAME, 28);
    const fd = bpf(MAP_CREATE, attributes);
    return fd < 0 ? fd : new KeySet(fd, capacity);
  }

  /** Adds packed keys. Returns 0 or -errno: E2BIG when the set is full, with some keys in. */
  add(keys: Uint8Array): number {
    for (let at = 0; at < keys.length; at += BATCH * KEY_BYTES) {
      const { result } = this.#batch(MAP_UPDATE_BATCH, keys.subarray(at, at + BATCH * KEY_BYTES));
      if (result < 0) return result;
    }
    return 0;
  }

  /** Removes packed keys; those that are not in are stepped over. Returns 0 or -errno. */
  remove(keys: Uint8Array): number {
    for (let at = 0; at < keys.length; ) {
      const part = keys.subarray(at, at + BATCH * KEY_BYTES);
      const { result, count } = this.#batch(MAP_DELETE_BATCH, part);
      if (result < 0 && result !== -ENOENT) return result;
      at += (result < 0 ? count + 1 : count) * KEY_BYTES;
    }
    return 0;
  }

  /** Every key, packed, or -errno. */
  keys(): Uint8Array | number {
    // A whole bucket must fit into what is left, so there is room for more than the set can hold.
    const keys = Buffer.allocUnsafeSlow((this.capacity + 64) * KEY_BYTES);
    const values = Buffer.allocUnsafeSlow((this.capacity + 64) * VALUE_BYTES);
    const attributes = this.#attributes(keys, values);
    const cursor = Buffer.allocUnsafeSlow(8);
    attributes.writeBigUInt64LE(addressOf(cursor), 8);
    const result = bpf(MAP_LOOKUP_BATCH, attributes);
    // ENOENT says that the end was reached.
    if (result < 0 && result !== -ENOENT) return result;
    return keys.subarray(0, attributes.readUInt32LE(32) * KEY_BYTES);
  }

  close(): void {
    close(this.fd);
  }

  #batch(command: number, keys: Uint8Array): { result: number; count: number } {
    const attributes = this.#attributes(keys, VALUES);
    return { result: bpf(command, attributes), count: attributes.readUInt32LE(32) };
  }

  #attributes(keys: Uint8Array, values: Uint8Array): Buffer {
    const attributes = Buffer.allocUnsafeSlow(56).fill(0);
    attributes.writeBigUInt64LE(addressOf(keys), 16);
    attributes.writeBigUInt64LE(addressOf(values), 24);
    attributes.writeUInt32LE(keys.length / KEY_BYTES, 32);
    attributes.writeUInt32LE(this.fd, 36);
    return attributes;
  }
}

/** Loads a socket filter. Returns its descriptor or -errno. `log`, when given, gets the verifier's words. */
export function loadFilter(code: Uint8Array, log?: Buffer): number {
  const attributes = Buffer.allocUnsafeSlow(64).fill(0);
  attributes.writeUInt32LE(SOCKET_FILTER, 0);
  attributes.writeUInt32LE(code.length / 8, 4);
  attributes.writeBigUInt64LE(addressOf(code), 8);
  attributes.writeBigUInt64LE(addressOf(LICENCE), 16);
  if (log !== undefined) {
    attributes.writeUInt32LE(2, 24);
    attributes.writeUInt32LE(log.length, 28);
    attributes.writeBigUInt64LE(addressOf(log), 32);
  }
  attributes.set(NAME, 48);
  return bpf(PROGRAM_LOAD, attributes);
}
