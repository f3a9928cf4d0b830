import { Address } from "../../shared/address.ts";

/** What a captured frame holds, as far as the tests look. Fields that it does not have are undefined. */
export interface Packet {
  /** Unix milliseconds, with a fraction. */
  readonly time: number;
  readonly fromMac: string;
  readonly toMac: string;
  readonly vlan: number | undefined;
  /** EtherType after a VLAN tag: 0x0800, 0x86dd, 0x0806 … */
  readonly type: number;
  readonly source: string | undefined;
  readonly target: string | undefined;
  /** IP protocol: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6. */
  readonly protocol: number | undefined;
  readonly sourcePort: number | undefined;
  readonly targetPort: number | undefined;
  readonly tcpFlags: number | undefined;
  /** First byte of an ICMP or ICMPv6 message. */
  readonly icmpType: number | undefined;
  /** UDP payload, or what comes after the TCP header. */
  readonly payload: Buffer;
  readonly frame: Buffer;
}

/** The packets of a pcap file in the machine's byte order (libpcap's format, link type Ethernet). A torn tail is left out. */
export function readPcap(file: Buffer): Packet[] {
  if (file.length < 24) return [];
  if (file.readUInt32LE(0) !== 0xa1b2c3d4 || file.readUInt32LE(20) !== 1)
    throw new Error("pcap: unexpected format");
  const packets: Packet[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const time = file.readUInt32LE(at) * 1000 + file.readUInt32LE(at + 4) / 1000;
    const size = file.readUInt32LE(at + 8);
    if (at + 16 + size > file.length) break;
    packets.push(decode(time, file.subarray(at + 16, at + 16 + size)));
    at += 16 + size;
  }
  return packets;
}

function decode(time: number, frame: Buffer): Packet {
  const tagged = frame.readUInt16BE(12) === 0x8100;
  const start = tagged ? 18 : 14;
  const type = frame.readUInt16BE(start - 2);
  const ip = type === 0x0800 ? ipv4(frame, start) : type === 0x86dd ? ipv6(frame, start) : undefined;
  return {
    time,
    fromMac: mac(frame.subarray(6, 12)),
    toMac: mac(frame.subarray(0, 6)),
    vlan: tagged ? frame.readUInt16BE(14) & 0x0fff : undefined,
    type,
    source: ip?.source,
    target: ip?.target,
    protocol: ip?.protocol,
    ...transport(ip),
    frame,
  };
}

interface Ip {
  readonly source: string;
  readonly target: string;
  readonly protocol: number;
  readonly data: Buffer;
}

function ipv4(frame: Buffer, start: number): Ip {
  const end = start + frame.readUInt16BE(start + 2);
  return {
    source: Address.v4(frame.subarray(start + 12, start + 16)).text,
    target: Address.v4(frame.subarray(start + 16, start + 20)).text,
    protocol: frame.readUInt8(start + 9),
    data: frame.subarray(start + (frame.readUInt8(start) & 15) * 4, end),
  };
}

function ipv6(frame: Buffer, start: number): Ip {
  const end = start + 40 + frame.readUInt16BE(start + 4);
  let protocol = frame.readUInt8(start + 6);
  let at = start + 40;
  // Hop-by-hop options (RFC 8200 §4.3): multicast listener reports carry them.
  if (protocol === 0) {
    protocol = frame.readUInt8(at);
    at += 8 + frame.readUInt8(at + 1) * 8;
  }
  return {
    source: new Address(frame.subarray(start + 8, start + 24)).text,
    target: new Address(frame.subarray(start + 24, start + 40)).text,
    protocol,
    data: frame.subarray(at, end),
  };
}

type Transport = Pick<Packet, "sourcePort" | "targetPort" | "tcpFlags" | "icmpType" | "payload">;

function transport(ip: Ip | undefined): Transport {
  const none = { sourcePort: undefined, targetPort: undefined, tcpFlags: undefined, icmpType: undefined };
  if (ip === undefined) return { ...none, payload: Buffer.alloc(0) };
  const { data, protocol } = ip;
  if (protocol === 17 && data.length >= 8) {
    return { ...none, ...ports(data), payload: data.subarray(8) };
  }
  if (protocol === 6 && data.length >= 20) {
    return {
      ...none,
      ...ports(data),
      tcpFlags: data.readUInt8(13),
      payload: data.subarray((data.readUInt8(12) >> 4) * 4),
    };
  }
  if ((protocol === 1 || protocol === 58) && data.length > 0) {
    return { ...none, icmpType: data.readUInt8(0), payload: data };
  }
  return { ...none, payload: data };
}

function ports(data: Buffer): { sourcePort: number; targetPort: number } {
  return { sourcePort: data.readUInt16BE(0), targetPort: data.readUInt16BE(2) };
}

function mac(bytes: Buffer): string {
  return bytes.toString("hex").replace(/..(?!$)/g, "$&:");
}
