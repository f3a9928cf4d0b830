import { type Address, parseAddress } from "../../shared/address.ts";
import { unwrap } from "../../shared/result.ts";

/** One side of a hand-made packet: hardware address, IP address, port. */
export interface Side {
  readonly mac: string;
  readonly address: string;
  readonly port: number;
}

export interface FrameOptions {
  /** IEEE 802.1Q tag, 1 to 4094. */
  readonly vlan?: number;
  readonly ttl?: number;
}

const UDP = 17;
const TCP = 6;

/** A UDP datagram as a whole Ethernet frame, checksums right, whoever it claims to come from. */
export function udpFrame(from: Side, to: Side, payload: Uint8Array, options: FrameOptions = {}): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(to.port, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  const datagram = Buffer.concat([header, payload]);
  // RFC 768: a sum of 0 is sent as all ones, since 0 says "no checksum".
  datagram.writeUInt16BE(transportSum(from, to, UDP, datagram) || 0xffff, 6);
  return ethernet(from, to, ipPacket(from, to, UDP, datagram, options), options);
}

/** A TCP segment without data; `flags` as on the wire (2 = SYN, 16 = ACK, 4 = RST). */
export function tcpFrame(from: Side, to: Side, flags: number, options: FrameOptions = {}): Buffer {
  const segment = Buffer.alloc(20);
  segment.writeUInt16BE(from.port, 0);
  segment.writeUInt16BE(to.port, 2);
  segment.writeUInt32BE(0x746f636b, 4);
  segment.writeUInt8(5 << 4, 12);
  segment.writeUInt8(flags, 13);
  segment.writeUInt16BE(64240, 14);
  segment.writeUInt16BE(transportSum(from, to, TCP, segment), 16);
  return ethernet(from, to, ipPacket(from, to, TCP, segment, options), options);
}

/** A frame of the experimental EtherType 0x88b5: it crosses the wire, and no IP stack answers it. */
export function markerFrame(mac: string, text: string): Buffer {
  const type = Buffer.from([0x88, 0xb5]);
  return Buffer.concat([
    macBytes("ff:ff:ff:ff:ff:ff"),
    macBytes(mac),
    type,
    Buffer.from(text.padEnd(46, "\0")),
  ]);
}

/** The frame of an IPv4 packet split into fragments whose payload is at most `size` bytes (a multiple of 8). */
export function fragments(frame: Uint8Array, size: number): Buffer[] {
  const bytes = Buffer.from(frame);
  const start = bytes.readUInt16BE(12) === 0x8100 ? 18 : 14;
  const payload = bytes.subarray(start + 20);
  const parts: Buffer[] = [];
  for (let offset = 0; offset < payload.length; offset += size) {
    const data = payload.subarray(offset, offset + size);
    const head = Buffer.from(bytes.subarray(0, start + 20));
    const more = offset + size < payload.length ? 0x2000 : 0;
    head.writeUInt16BE(20 + data.length, start + 2);
    head.writeUInt16BE(more | (offset / 8), start + 6);
    head.writeUInt16BE(0, start + 10);
    head.writeUInt16BE(checksum(head.subarray(start)), start + 10);
    parts.push(Buffer.concat([head, data]));
  }
  return parts;
}

function ethernet(from: Side, to: Side, packet: Buffer, { vlan }: FrameOptions): Buffer {
  const type = Buffer.alloc(2);
  type.writeUInt16BE(packet.readUInt8(0) >> 4 === 4 ? 0x0800 : 0x86dd);
  const tag = vlan === undefined ? Buffer.alloc(0) : Buffer.from([0x81, 0x00, vlan >> 8, vlan & 0xff]);
  return Buffer.concat([macBytes(to.mac), macBytes(from.mac), tag, type, packet]);
}

function ipPacket(from: Side, to: Side, protocol: number, data: Buffer, { ttl = 64 }: FrameOptions): Buffer {
  const source = addressOf(from);
  const target = addressOf(to);
  if (source.family !== target.family) throw new Error("frame: both addresses must be of one family");
  const header = Buffer.alloc(source.family === 4 ? 20 : 40);
  if (source.family === 4) {
    header.writeUInt8(0x45, 0);
    header.writeUInt16BE(20 + data.length, 2);
    header.writeUInt16BE(0x7463, 4);
    header.writeUInt8(ttl, 8);
    header.writeUInt8(protocol, 9);
    header.set(source.wire(), 12);
    header.set(target.wire(), 16);
    header.writeUInt16BE(checksum(header), 10);
  } else {
    header.writeUInt8(0x60, 0);
    header.writeUInt16BE(data.length, 4);
    header.writeUInt8(protocol, 6);
    header.writeUInt8(ttl, 7);
    header.set(source.wire(), 8);
    header.set(target.wire(), 24);
  }
  return Buffer.concat([header, data]);
}

/** RFC 9293 §3.1 and RFC 8200 §8.1: the checksum over pseudo-header and data (with its own field still zero). */
function transportSum(from: Side, to: Side, protocol: number, data: Buffer): number {
  const end = Buffer.alloc(8);
  end.writeUInt32BE(data.length, 0);
  end.writeUInt32BE(protocol, 4);
  return checksum(Buffer.concat([addressOf(from).wire(), addressOf(to).wire(), end, data]));
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) {
    sum += index + 1 < bytes.length ? bytes.readUInt16BE(index) : bytes.readUInt8(index) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function addressOf(side: Side): Address {
  return unwrap(parseAddress(side.address));
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}
