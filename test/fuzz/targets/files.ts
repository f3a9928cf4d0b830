import { crc32 } from "node:zlib";
import {
  decodeHeader,
  decodeSlot,
  encodeHeader,
  encodeSlot,
  HEADER,
  SLOT,
  type Slot,
} from "../../../server/store/journal-file.ts";
import { spentIn } from "../../../server/store/live-journal.ts";
import { toDevice } from "../../../server/store/device-rows.ts";
import { TockError } from "../../../shared/errors.ts";
import { bytesFrom, NOW } from "../../support/core.ts";
import type { Target } from "../loop.ts";

/** What the daemon reads back from its own disk. */

/**
 * A header and slots, whose checksums are put right where byte 0 says so. What decodes is, encoded again, the same bytes:
 * nothing is read into a journal that was not written so.
 */
function journalTarget(input: Uint8Array): void {
  const isMended = ((input[0] ?? 0) & 1) === 1;
  const bytes = Buffer.from(input.subarray(1));
  if (bytes.length < HEADER) return;
  const block = bytes.subarray(0, HEADER);
  if (isMended) block.writeUInt32BE(crc32(block.subarray(4)), 0);
  const header = decodeHeader(block);
  const slots: Slot[] = [];
  for (let at = HEADER; at + SLOT <= bytes.length; at += SLOT) {
    const part = bytes.subarray(at, at + SLOT);
    if (isMended) part.writeUInt32BE(crc32(part.subarray(4)), 0);
    const slot = decodeSlot(part, slots.length);
    if (
      slot?.kind === "use" &&
      !encodeSlot(Buffer.alloc(SLOT), slots.length, slot).subarray(10).equals(part.subarray(10))
    ) {
      throw new Error("read what was not written");
    }
    slots.push(slot ?? { kind: "free" });
  }
  if (header === undefined) return;
  const spent = spentIn(header, slots);
  for (const slot of slots) {
    if (slot.kind === "spent" && slot.step > header.floor && !spent.has(slot.step as never)) {
      throw new Error("a spent step is not spent");
    }
  }
}

const COLUMNS = [
  "id",
  "current",
  "next",
  "services",
  "used_from",
  "expires",
  "current_since",
  "next_since",
  "used",
];

/** A row of the device store with values of any type: a device, or an error that names the row. */
function storeTarget(input: Uint8Array): void {
  const row: Parameters<typeof toDevice>[0] = { ...ROW };
  let at = 0;
  while (at + 2 < input.length) {
    const [column = 0, type = 0, length = 0] = input.subarray(at, at + 3);
    const value = input.slice(at + 3, at + 3 + length);
    row[COLUMNS[column % COLUMNS.length]!] = valueOf(type, value);
    at += 3 + length;
  }
  try {
    const device = toDevice(row, []);
    if (device.current.secret.expose().length !== 32) throw new Error("a short secret");
  } catch (error) {
    if (!(error instanceof TockError)) throw error;
  }
}

function valueOf(type: number, value: Uint8Array): null | string | Uint8Array | number {
  const bytes = Buffer.from(value);
  const values = [null, bytes.toString("utf8"), value, bytes.length, -1, 2 ** 60, Number.NaN, "alice/phone"];
  return values[type % values.length] ?? null;
}

const ROW = {
  number: 1,
  id: "alice/phone",
  enabled: 1,
  static: 0,
  services: null,
  expires: null,
  current: bytesFrom("current", 32),
  current_since: NOW,
  current_until: null,
  next: null,
  next_since: null,
  next_from_link: 0,
  enrolling: 0,
  created: NOW,
  used: null,
  used_from: null,
};

const header = encodeHeader({
  capacity: 3,
  serverId: bytesFrom("server", 16),
  bootId: bytesFrom("boot", 16),
  floor: 58_000_000,
  doubt: -1,
  inode: 42n,
});
const slots: Slot[] = [
  { kind: "use", step: 59_000_000, id: bytesFrom("id", 32), source: bytesFrom("source", 16) },
  { kind: "spent", step: 58_999_999 },
  { kind: "free" },
];
const whole = Buffer.concat([
  header,
  ...slots.map((slot, number) => encodeSlot(Buffer.alloc(SLOT), number, slot)),
]);

export const FILE_TARGETS: readonly Target[] = [
  {
    name: "journal",
    seeds: [0, 1].map((mended) => Uint8Array.from([mended, ...whole])),
    words: [whole.subarray(HEADER, HEADER + SLOT), new Uint8Array(6).fill(255), new Uint8Array(8).fill(255)],
    run: journalTarget,
  },
  {
    name: "store",
    seeds: [
      Uint8Array.of(1, 2, 32, ...bytesFrom("other", 32)),
      Uint8Array.of(0, 1, 5, 97, 47, 98, 99, 100, 3, 1, 3, 115, 115, 104),
    ],
    words: [Uint8Array.of(5, 4, 0), Uint8Array.of(6, 5, 0), Uint8Array.of(2, 2, 31)],
    run: storeTarget,
  },
];
