import type { Address } from "../../shared/address.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { close, errnoName, sendto, socket } from "../sys/libc.ts";

/** linux/socket.h, linux/in.h */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const IPPROTO_RAW = 255;
const UDP = 17;
const TTL = 64;

/** One end of a datagram. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/**
 * Sends datagrams from an address and port that nothing is bound to, so that no port of the daemon is ever open.
 * IPPROTO_RAW sockets receive nothing and take the whole packet, IP header included (raw(7), ipv6(7)).
 */
export class RawUdp {
  readonly #v4: number;
  readonly #v6: number;

  private constructor(v4: number, v6: number) {
    this.#v4 = v4;
    this.#v6 = v6;
  }

  /** Needs CAP_NET_RAW. A machine without IPv6 gets IPv4 alone. */
  static open(): Result<RawUdp> {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const v4 = socket(AF_INET, type, IPPROTO_RAW);
    if (v4 < 0) return err(failure("cannot open a raw socket", v4));
    return ok(new RawUdp(v4, socket(AF_INET6, type, IPPROTO_RAW)));
  }

  /** Sends one datagram. `scope` is the interface index, which link-local IPv6 addresses need. */
  send(from: Endpoint, to: Endpoint, payload: Uint8Array, scope = 0): Result<void> {
    const v4 = to.address.family === 4;
    const sent = sendto(
      v4 ? this.#v4 : this.#v6,
      ipPacket(from, to, payload),
      socketAddress(to.address, scope),
    );
    return sent < 0 ? err(failure(`cannot send to ${to.address.text}`, sent)) : ok(undefined);
  }

  close(): void {
    close(this.#v4);
    if (this.#v6 >= 0) close(this.#v6);
  }
}

function failure(what: string, errno: number): TockError {
  const hint = errno === -1 ? "run as root, or give the process CAP_NET_RAW" : undefined;
  return new TockError(errno === -1 ? "permission" : "io", `reply: ${what}: ${errnoName(errno)}`, hint);
}

/** struct sockaddr_in / sockaddr_in6 with port 0, as raw sockets want it. */
function socketAddress(address: Address, scope: number): Uint8Array {
  const bytes = new Uint8Array(address.family === 4 ? 16 : 28);
  new Uint16Array(bytes.buffer, 0, 1)[0] = address.family === 4 ? AF_INET : AF_INET6;
  bytes.set(address.wire(), address.family === 4 ? 4 : 8);
  if (address.family === 6) new Uint32Array(bytes.buffer, 24, 1)[0] = scope;
  return bytes;
}

/**
 * IP header, UDP header, payload. IPv4 (RFC 791 §3.1): the kernel fills the checksum and a zero identification.
 * IPv6: RFC 8200 §3. The UDP checksum covers the pseudo header (RFC 768, RFC 8200 §8.1).
 */
export function ipPacket(from: Endpoint, to: Endpoint, payload: Uint8Array): Uint8Array {
  const v4 = to.address.family === 4;
  const header = v4 ? 20 : 40;
  const length = 8 + payload.length;
  const packet = new Uint8Array(header + length);
  const view = new DataView(packet.buffer);
  if (v4) {
    view.setUint16(0, 0x4500);
    view.setUint16(2, packet.length);
    view.setUint16(6, 0x4000);
    view.setUint16(8, (TTL << 8) | UDP);
  } else {
    view.setUint32(0, 0x60000000);
    view.setUint16(4, length);
    view.setUint16(6, (UDP << 8) | TTL);
  }
  packet.set(from.address.wire(), v4 ? 12 : 8);
  packet.set(to.address.wire(), v4 ? 16 : 24);
  view.setUint16(header, from.port);
  view.setUint16(header + 2, to.port);
  view.setUint16(header + 4, length);
  packet.set(payload, header + 8);
  const pseudo = packet.subarray(v4 ? 12 : 8, header);
  view.setUint16(header + 6, checksum(UDP + length, pseudo, packet.subarray(header)));
  return packet;
}

/** RFC 1071 over an initial value and parts; 0 is sent as 0xffff, since 0 means no checksum. */
function checksum(initial: number, ...parts: readonly Uint8Array[]): number {
  let sum = initial;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff || 0xffff;
}
