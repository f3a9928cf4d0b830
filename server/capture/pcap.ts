import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { type CapturePlan, Frame, parseFrame } from "../core/frame.ts";
import type { CaptureStats, FrameHandler, PacketSource, TagFilter } from "../core/packet-source.ts";

/** An IP packet in a capture file: `at` and `length` in the file's bytes, and the time it was captured (unix ms). */
export type PacketHandler = (at: number, length: number, capturedAt: number) => void;

/** Magic numbers of the classic format, as a little-endian reader sees them (draft-ietf-opsawg-pcap §4). */
const FORMATS = new Map([
  [0xa1b2c3d4, { little: true, perMilli: 1e3 }],
  [0xa1b23c4d, { little: true, perMilli: 1e6 }],
  [0xd4c3b2a1, { little: false, perMilli: 1e3 }],
  [0x4d3cb2a1, { little: false, perMilli: 1e6 }],
]);
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** What tcpdump and Wireshark take at most. */
const MOST_BYTES = 262144;

/** Link types (LINKTYPE_ registry): where the EtherType stands and where the packet begins; RAW has no EtherType. */
const LINKS = new Map([
  [1, { type: 12, start: 14 }], // ETHERNET
  [12, { type: -1, start: 0 }], // RAW, by its BSD number
  [101, { type: -1, start: 0 }], // RAW
  [113, { type: 14, start: 16 }], // LINUX_SLL
  [276, { type: 0, start: 20 }], // LINUX_SLL2
]);
const IP_TYPES = new Set([0x0800, 0x86dd]);
/** 802.1Q, 802.1ad and the number that came before it */
const VLAN_TYPES = new Set([0x8100, 0x88a8, 0x9100]);

/**
 * Calls `receive` for each IP packet of a pcap file. Anything else in it is stepped over, as are VLAN tags. A file that
 * is none, or of another link type, or torn, is `invalid`; the packets before the tear have been received by then.
 */
export function readPcap(file: Uint8Array, receive: PacketHandler): Result<void> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const format = file.length < FILE_HEADER_BYTES ? undefined : FORMATS.get(view.getUint32(0, true));
  if (format === undefined) {
    return err(invalid("expected a pcap file", "pcapng is not read: convert it with editcap -F pcap"));
  }
  const { little, perMilli } = format;
  // The upper half of the word says things about frame check sequences.
  const link = LINKS.get(view.getUint16(little ? 20 : 22, little));
  if (link === undefined) {
    const got = view.getUint32(20, little);
    return err(invalid(`expected a link type of ${[...LINKS.keys()].join(", ")}, got ${got}`));
  }
  for (let at = FILE_HEADER_BYTES; at < file.length; ) {
    const data = at + RECORD_HEADER_BYTES;
    const length = data > file.length ? 0 : view.getUint32(at + 8, little);
    if (data + length > file.length || length > MOST_BYTES) return err(invalid(`torn record at byte ${at}`));
    const time = view.getUint32(at, little) * 1e3 + view.getUint32(at + 4, little) / perMilli;
    const start = networkStart(view, data, data + length, link);
    if (start !== undefined) receive(start, data + length - start, time);
    at = data + length;
  }
  return ok(undefined);
}

/** Where the IP packet begins in the link frame from `at` to `end`; undefined where there is none. */
function networkStart(
  view: DataView,
  at: number,
  end: number,
  link: { type: number; start: number },
): number | undefined {
  let start = at + link.start;
  if (link.type < 0) return start;
  if (start > end) return undefined;
  let type = view.getUint16(at + link.type);
  // A tag takes 4 bytes: its value, then the type of what follows.
  while (VLAN_TYPES.has(type) && start + 4 <= end) {
    type = view.getUint16(start + 2);
    start += 4;
  }
  return IP_TYPES.has(type) ? start : undefined;
}

function invalid(message: string, hint?: string): TockError {
  return new TockError("invalid", `capture file: ${message}`, hint);
}

/** The frames of a pcap file that can be ours, each given to `handle` before this returns. Errors as `readPcap`. */
export function openPcap(file: Uint8Array, plan: CapturePlan, handle: FrameHandler): Result<PacketSource> {
  const frame = new Frame();
  frame.attach(file);
  const stats = { received: 0, lost: 0, refused: 0, delivered: 0 };
  const read = readPcap(file, (at, length, capturedAt) => {
    stats.received++;
    frame.arrivedAt = capturedAt;
    if (parseFrame(frame, at, length, plan) === undefined) {
      stats.delivered++;
      handle(frame);
    } else {
      stats.refused++;
    }
  });
  return read.ok ? ok(new FileSource(stats)) : read;
}

/** A file that has been read to its end. */
class FileSource implements PacketSource {
  readonly filter = "none";
  readonly tags: TagFilter = { replace: () => undefined, add: () => undefined, remove: () => undefined };
  readonly #stats: CaptureStats;

  constructor(stats: CaptureStats) {
    this.#stats = stats;
  }

  stats(): CaptureStats {
    return this.#stats;
  }

  drain(): void {}

  close(): void {}
}
