import { Address } from "../../shared/address.ts";
import { PACKET_BYTES } from "../../shared/constants.ts";
import { STUN_MAX_BYTES, STUN_MIN_BYTES } from "../../shared/stun.ts";

/** IANA protocol numbers. */
export const TCP = 6;
export const UDP = 17;

/** RFC 9293 §3.1 */
export const TCP_FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, ack: 0x10 } as const;
/** Of these, a segment that opens a connection has SYN alone. The ECN bits may be set (RFC 3168 §6.1.1). */
export const TCP_OPENING_MASK = TCP_FLAGS.fin | TCP_FLAGS.syn | TCP_FLAGS.rst | TCP_FLAGS.ack;

/** RFC 8489 §5 */
export const STUN_BINDING_REQUEST = 0x0001;
export const STUN_COOKIE = 0x2112a442;
const STUN_HEADER_BYTES = 20;

const NO_BYTES = new Uint8Array(0);
const FRAGMENT = 44;

/** What can be ours, by ports. Ports are in the machine's byte order, 1 to 65535; ranges include both ends. */
export interface CapturePlan {
  /** UDP port of SPA packets, in both forms. */
  readonly spa: number;
  /** Undefined = nobody may knock. */
  readonly knock: KnockPorts | undefined;
}

export interface KnockPorts {
  readonly first: number;
  readonly last: number;
  readonly transport: "tcp" | "udp" | "both";
}

/** What a frame can be to the daemon: an SPA packet, one in its STUN form, or one knock. */
export type FrameKind = "spa" | "stun" | "knock";

/** Why a frame is refused. */
export type FrameFault =
  | "version"
  | "truncated"
  | "lengths"
  | "fragment"
  | "protocol"
  | "mapped-source"
  | "not-ours";

/** One IP packet, described in place. A source makes one and fills it in again for each frame. */
export class Frame {
  kind: FrameKind = "spa";
  family: 4 | 6 = 4;
  protocol: typeof TCP | typeof UDP = UDP;
  /** The memory that the offsets point into. */
  bytes: Uint8Array = NO_BYTES;
  data: DataView = new DataView(NO_BYTES.buffer);
  /** Offsets of the addresses: 4 or 16 bytes, as `family` says. */
  sourceAt = 0;
  destinationAt = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** The low 8 flag bits; 0 for UDP. */
  tcpFlags = 0;
  payloadAt = 0;
  payloadLength = 0;
  /** Where it came in (link-local addresses mean nothing without); 0 = unknown. */
  interfaceIndex = 0;
  /** Unix milliseconds with fractions, by the kernel's clock. */
  arrivedAt = 0;

  /** Points the frame at other memory. */
  attach(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/**
 * Parses the IP packet at `at`, of which `length` bytes are there, and says what it is. Gives undefined when it can
 * be ours, else why not; the frame then holds nothing of use. Never reads outside of those bytes, never allocates.
 *
 * Refused on purpose: fragments (a packet that is ours fits into any path's MTU) and IPv6 extension headers (nothing
 * that speaks Tock sends them, and walking them is where parsers go wrong).
 *
 * Checksums are not looked at. Between two virtual interfaces, or behind an offloading card, they are often not
 * filled in yet. A damaged SPA packet fails its AEAD, and a damaged knock is a stray one like those anybody can send.
 */
export function parseFrame(
  frame: Frame,
  at: number,
  length: number,
  plan: CapturePlan,
): FrameFault | undefined {
  if (length < 1) return "truncated";
  const version = frame.data.getUint8(at) >> 4;
  if (version === 4) return parseV4(frame, at, length) ?? classify(frame, plan);
  if (version === 6) return parseV6(frame, at, length) ?? classify(frame, plan);
  return "version";
}

/** RFC 791 §3.1. Options are stepped over. */
function parseV4(frame: Frame, at: number, length: number): FrameFault | undefined {
  if (length < 20) return "truncated";
  const { data } = frame;
  const header = (data.getUint8(at) & 15) * 4;
  const total = data.getUint16(at + 2);
  if (header < 20) return "lengths";
  if ((data.getUint16(at + 6) & 0x3fff) !== 0) return "fragment";
  frame.family = 4;
  frame.sourceAt = at + 12;
  frame.destinationAt = at + 16;
  return parseTransport(frame, data.getUint8(at + 9), at + header, total - header, length - header);
}

/** RFC 8200 §3. */
function parseV6(frame: Frame, at: number, length: number): FrameFault | undefined {
  if (length < 40) return "truncated";
  const { data } = frame;
  const next = data.getUint8(at + 6);
  if (next === FRAGMENT) return "fragment";
  // ::ffff:a.b.c.d must not be seen on a wire; taken as it stands it would name an IPv4 host.
  if (data.getUint32(at + 8) === 0 && data.getUint32(at + 12) === 0 && data.getUint32(at + 16) === 0xffff) {
    return "mapped-source";
  }
  frame.family = 6;
  frame.sourceAt = at + 8;
  frame.destinationAt = at + 24;
  return parseTransport(frame, next, at + 40, data.getUint16(at + 4), length - 40);
}

/** `size` bytes by the IP header's word, of which `there` or fewer were captured (or more: Ethernet pads). */
function parseTransport(
  frame: Frame,
  protocol: number,
  at: number,
  size: number,
  there: number,
): FrameFault | undefined {
  const header = protocol === UDP ? 8 : protocol === TCP ? 20 : undefined;
  if (header === undefined) return "protocol";
  if (size < header) return "lengths";
  if (there < header) return "truncated";
  frame.sourcePort = frame.data.getUint16(at);
  frame.destinationPort = frame.data.getUint16(at + 2);
  return protocol === UDP ? parseUdp(frame, at, size, there) : parseTcp(frame, at, size, there);
}

/** RFC 768. Its own length rules, as in the kernel: bytes after it are no part of the datagram. */
function parseUdp(frame: Frame, at: number, size: number, there: number): FrameFault | undefined {
  const length = frame.data.getUint16(at + 4);
  if (length < 8 || length > size) return "lengths";
  if (length > there) return "truncated";
  frame.protocol = UDP;
  frame.tcpFlags = 0;
  frame.payloadAt = at + 8;
  frame.payloadLength = length - 8;
  return undefined;
}

/** RFC 9293 §3.1. Data is given as far as it was captured. */
function parseTcp(frame: Frame, at: number, size: number, there: number): FrameFault | undefined {
  const header = (frame.data.getUint8(at + 12) >> 4) * 4;
  if (header < 20 || header > size) return "lengths";
  if (header > there) return "truncated";
  frame.protocol = TCP;
  frame.tcpFlags = frame.data.getUint8(at + 13);
  frame.payloadAt = at + header;
  frame.payloadLength = Math.min(size, there) - header;
  return undefined;
}

function classify(frame: Frame, { spa, knock }: CapturePlan): FrameFault | undefined {
  const kind =
    frame.protocol === UDP && frame.destinationPort === spa
      ? packetKind(frame)
      : knock !== undefined && frame.destinationPort >= knock.first && frame.destinationPort <= knock.last
        ? knockKind(frame, knock.transport)
        : undefined;
  if (kind === undefined) return "not-ours";
  frame.kind = kind;
  return undefined;
}

/** The two forms of an SPA packet, by length and fixed fields alone. */
function packetKind({ data, payloadAt: at, payloadLength: length }: Frame): FrameKind | undefined {
  if (length === PACKET_BYTES) return "spa";
  const isStun =
    length >= STUN_MIN_BYTES &&
    length <= STUN_MAX_BYTES &&
    data.getUint32(at + 4) === STUN_COOKIE &&
    data.getUint16(at) === STUN_BINDING_REQUEST &&
    data.getUint16(at + 2) === length - STUN_HEADER_BYTES;
  return isStun ? "stun" : undefined;
}

function knockKind(frame: Frame, transport: KnockPorts["transport"]): FrameKind | undefined {
  const isKnock =
    frame.protocol === UDP
      ? transport !== "tcp"
      : transport !== "udp" && (frame.tcpFlags & TCP_OPENING_MASK) === TCP_FLAGS.syn;
  return isKnock ? "knock" : undefined;
}

/** The source address, as a copy. */
export function sourceOf(frame: Pick<Frame, "bytes" | "family" | "sourceAt">): Address {
  return addressAt(frame.bytes, frame.sourceAt, frame.family);
}

/** The address that the packet was sent to, as a copy. */
export function destinationOf(frame: Pick<Frame, "bytes" | "family" | "destinationAt">): Address {
  return addressAt(frame.bytes, frame.destinationAt, frame.family);
}

function addressAt(bytes: Uint8Array, at: number, family: 4 | 6): Address {
  return family === 4 ? Address.v4(bytes.subarray(at, at + 4)) : new Address(bytes.subarray(at, at + 16));
}

/** The payload, as a copy. */
export function payloadOf(frame: Pick<Frame, "bytes" | "payloadAt" | "payloadLength">): Uint8Array {
  return frame.bytes.slice(frame.payloadAt, frame.payloadAt + frame.payloadLength);
}
