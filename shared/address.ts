import { quote } from "./brand.ts";
import { TockError } from "./errors.ts";
import { err, ok, type Result } from "./result.ts";

const V4_MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/**
 * An IPv4 or IPv6 address. One value has one form: `::ffff:192.0.2.1` is the IPv4 address 192.0.2.1.
 * `bytes` are 16, network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). `text` is RFC 5952 and serves as a map key.
 */
export class Address {
  readonly bytes: Uint8Array;
  readonly family: 4 | 6;
  readonly text: string;

  /** From 16 bytes, which are copied. Another length throws RangeError. */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== 16) throw new RangeError(`address: expected 16 bytes, got ${bytes.length}`);
    this.bytes = new Uint8Array(bytes);
    this.family = isV4Mapped(bytes) ? 4 : 6;
    this.text = this.family === 4 ? formatV4(this.bytes) : formatV6(this.bytes);
  }

  /** From 4 bytes, network order. Another length throws RangeError. */
  static v4(bytes: Uint8Array): Address {
    if (bytes.length !== 4) throw new RangeError(`address: expected 4 bytes, got ${bytes.length}`);
    const all = new Uint8Array(16);
    all.set(V4_MAPPED);
    all.set(bytes, 12);
    return new Address(all);
  }

  /** The 4 or 16 bytes that the address has on the wire. */
  wire(): Uint8Array {
    return this.family === 4 ? this.bytes.subarray(12) : this.bytes;
  }

  equals(other: Address): boolean {
    return this.text === other.text;
  }

  toString(): string {
    return this.text;
  }

  toJSON(): string {
    return this.text;
  }
}

/** A literal such as `192.0.2.1` or `2001:db8::1`. No zone, no host name. Anything else is `invalid`. */
export function parseAddress(input: string): Result<Address> {
  const bytes = input.includes(":") ? v6Bytes(input) : v4Bytes(input);
  if (bytes === undefined) {
    return err(new TockError("invalid", `address: expected an IPv4 or IPv6 address, got ${quote(input)}`));
  }
  return ok(bytes.length === 4 ? Address.v4(bytes) : new Address(bytes));
}

/** An address prefix, such as 192.0.2.0/24: the address masked, and the prefix length within its family. */
export class Network {
  readonly address: Address;
  readonly prefix: number;

  /** Bits of `address` after `prefix` are cleared. A prefix out of range (0–32, 0–128) throws RangeError. */
  constructor(address: Address, prefix: number) {
    const most = address.family === 4 ? 32 : 128;
    if (!Number.isInteger(prefix) || prefix < 0 || prefix > most) {
      throw new RangeError(`prefix: expected 0 to ${most}, got ${prefix}`);
    }
    this.address = maskAddress(address, prefix);
    this.prefix = prefix;
  }

  contains(address: Address): boolean {
    return address.family === this.address.family && maskAddress(address, this.prefix).equals(this.address);
  }

  toString(): string {
    return `${this.address.text}/${this.prefix}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A prefix such as `192.0.2.0/24`, or a single address. Bits set after the prefix are `invalid`, as they are a mistake. */
export function parseNetwork(input: string): Result<Network> {
  const slash = input.indexOf("/");
  const address = parseAddress(slash < 0 ? input : input.slice(0, slash));
  if (!address.ok) {
    return err(
      new TockError("invalid", `network: expected an address or address/prefix, got ${quote(input)}`),
    );
  }
  const most = address.value.family === 4 ? 32 : 128;
  const text = slash < 0 ? String(most) : input.slice(slash + 1);
  const prefix = /^(0|[1-9][0-9]{0,2})$/.test(text) ? Number(text) : -1;
  if (prefix < 0 || prefix > most) {
    return err(
      new TockError("invalid", `network: expected a prefix length from 0 to ${most}, got ${quote(text)}`),
    );
  }
  const network = new Network(address.value, prefix);
  if (!network.address.equals(address.value)) {
    const hint = `did you mean ${network.toString()}?`;
    return err(new TockError("invalid", `network: ${quote(input)} has bits set after its prefix`, hint));
  }
  return ok(network);
}

/** The address with every bit after `prefix` (counted within its family) cleared. */
export function maskAddress(address: Address, prefix: number): Address {
  const bytes = address.bytes.slice();
  const bits = address.family === 4 ? prefix + 96 : prefix;
  for (let index = 0; index < 16; index++) {
    const keep = Math.min(8, Math.max(0, bits - index * 8));
    bytes[index] = (bytes[index] ?? 0) & (0xff00 >> keep) & 0xff;
  }
  return new Address(bytes);
}

function isV4Mapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < V4_MAPPED.length; index++) if (bytes[index] !== V4_MAPPED[index]) return false;
  return true;
}

function v4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (
    parts.length !== 4 ||
    !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  ) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function v6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, index) => groupsOf(half, index === halves.length - 1));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const words = [...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])];
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** The 16-bit groups of one side of `::`; a dotted IPv4 address at the end of the last side counts as two. */
function groupsOf(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const words: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const v4 = isLast && index === parts.length - 1 ? v4Bytes(part) : undefined;
    if (v4 !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = v4;
      words.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      words.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return words;
}

/** By hand: a typed array's own join takes as long as all else that an address does. */
function formatV4(bytes: Uint8Array): string {
  return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatV6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let start = 0;
  let length = 1;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && words[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
  }
  const hex = words.map((word) => word.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}
