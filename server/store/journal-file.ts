import { crc32 } from "node:zlib";

/**
 * The bytes of a replay journal: a header of 128 bytes and `capacity` slots of 64, integers big-endian.
 *
 * Every slot is written from the start, a free one too, and carries its own number and checksum; the header says how
 * many there are. So whatever is cut off, changed, moved or zeroed shows.
 *
 * header: crc32(4) magic(8) capacity(4) server id(16) boot id(16) floor+1(8) doubt+1(8) inode(8) zeros
 * slot:   crc32(4) number(4) kind(1) zero(1) step(6) id(32) source address(16)
 *
 * Each crc32 covers the rest of its header or slot. A slot is free (kind 0), holds a use (1), or a spent step (2, with
 * no id and source).
 */
export const HEADER = 128;
export const SLOT = 64;
const MAGIC = Buffer.from("tockjrn1");
const NO_BOOT = Buffer.alloc(16);

export interface Header {
  readonly capacity: number;
  readonly serverId: Uint8Array;
  /** The kernel's boot id; undefined in a journal that no daemon has opened yet. */
  readonly bootId: Uint8Array | undefined;
  /** As in SpentSteps; -1 = none. */
  readonly floor: number;
  readonly doubt: number;
  /** Inode of the file, so that a copy put in its place is seen. */
  readonly inode: bigint;
}

export type Slot =
  | { readonly kind: "free" }
  /** `id` is 32 bytes, `source` 16; all zero = unknown. */
  | { readonly kind: "use"; readonly step: number; readonly id: Uint8Array; readonly source: Uint8Array }
  | { readonly kind: "spent"; readonly step: number };

const FREE: Slot = { kind: "free" };
const KINDS = ["free", "use", "spent"] as const;

export function encodeHeader(header: Header): Buffer {
  const block = Buffer.alloc(HEADER);
  MAGIC.copy(block, 4);
  block.writeUInt32BE(header.capacity, 12);
  block.set(header.serverId, 16);
  block.set(header.bootId ?? NO_BOOT, 32);
  block.writeBigUInt64BE(BigInt(header.floor + 1), 48);
  block.writeBigUInt64BE(BigInt(header.doubt + 1), 56);
  block.writeBigUInt64BE(header.inode, 64);
  return sum(block);
}

/** Undefined where the block is damaged or no header. */
export function decodeHeader(block: Buffer): Header | undefined {
  if (block.length !== HEADER || !isIntact(block) || !block.subarray(4, 12).equals(MAGIC)) return undefined;
  const bootId = Uint8Array.from(block.subarray(32, 48));
  return {
    capacity: block.readUInt32BE(12),
    serverId: Uint8Array.from(block.subarray(16, 32)),
    bootId: NO_BOOT.equals(bootId) ? undefined : bootId,
    floor: Number(block.readBigUInt64BE(48)) - 1,
    doubt: Number(block.readBigUInt64BE(56)) - 1,
    inode: block.readBigUInt64BE(64),
  };
}

/** Writes slot `number` into `block`, 64 bytes. */
export function encodeSlot(block: Buffer, number: number, slot: Slot): Buffer {
  block.fill(0);
  block.writeUInt32BE(number, 4);
  block[8] = KINDS.indexOf(slot.kind);
  if (slot.kind !== "free") block.writeUIntBE(slot.step, 10, 6);
  if (slot.kind === "use") {
    block.set(slot.id, 16);
    block.set(slot.source, 48);
  }
  return sum(block);
}

/** What is in a slot; undefined where the block is not slot `number` as it was written. */
export function decodeSlot(block: Buffer, number: number): Slot | undefined {
  const kind = KINDS[block[8] ?? 0];
  if (block.length !== SLOT || !isIntact(block) || block.readUInt32BE(4) !== number || kind === undefined) {
    return undefined;
  }
  if (kind === "free") return { kind };
  const step = block.readUIntBE(10, 6);
  if (kind === "spent") return { kind, step };
  return {
    kind,
    step,
    id: Uint8Array.from(block.subarray(16, 48)),
    source: Uint8Array.from(block.subarray(48)),
  };
}

/** Slots from number `first` on. */
export function encodeSlots(first: number, slots: readonly Slot[]): Buffer {
  const blocks = Buffer.alloc(slots.length * SLOT);
  for (const [index, slot] of slots.entries()) {
    encodeSlot(blocks.subarray(index * SLOT, (index + 1) * SLOT), first + index, slot);
  }
  return blocks;
}

/** `count` slots with nothing in them. */
export function freeSlots(count: number): Slot[] {
  return Array.from({ length: count }, () => FREE);
}

/** Where a slot begins in the file. */
export function positionOf(slot: number): number {
  return HEADER + slot * SLOT;
}

function sum(block: Buffer): Buffer {
  block.writeUInt32BE(crc32(block.subarray(4)), 0);
  return block;
}

function isIntact(block: Buffer): boolean {
  return block.readUInt32BE(0) === crc32(block.subarray(4));
}
