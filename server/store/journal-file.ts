import { crc32 } from "node:zlib";

/**
 * The bytes of a replay journal: a header and `capacity` slots, all of 64 bytes, integers big-endian.
 *
 * Every slot is written from the start, a free one too, and carries its own number and checksum; the header says how
 * many there are. So whatever is cut off, changed, moved or zeroed shows.
 *
 * header: crc32(4) magic(8) capacity(4) server id(16) boot id(16) floor+1(8) inode(8)
 * slot:   crc32(4) number(4) used(1) zero(1) step(6) id(32) source address(16)
 *
 * Each crc32 covers the other 60 bytes.
 */
export const BLOCK = 64;
const MAGIC = Buffer.from("tockjrn1");
const NO_BOOT = Buffer.alloc(16);

export interface Header {
  readonly capacity: number;
  readonly serverId: Uint8Array;
  /** The kernel's boot id; undefined in a journal that no daemon has opened yet. */
  readonly bootId: Uint8Array | undefined;
  /** The last step that is refused whatever comes; -1 = none. */
  readonly floor: number;
  /** Inode of the file, so that a copy put in its place is seen. */
  readonly inode: bigint;
}

export interface Slot {
  readonly step: number;
  /** 32 bytes. */
  readonly id: Uint8Array;
  /** 16 bytes; all zero = unknown. */
  readonly source: Uint8Array;
}

export function encodeHeader(header: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  MAGIC.copy(block, 4);
  block.writeUInt32BE(header.capacity, 12);
  block.set(header.serverId, 16);
  block.set(header.bootId ?? NO_BOOT, 32);
  block.writeBigUInt64BE(BigInt(header.floor + 1), 48);
  block.writeBigUInt64BE(header.inode, 56);
  return sum(block);
}

/** Undefined where the block is damaged or no header. */
export function decodeHeader(block: Buffer): Header | undefined {
  if (block.length !== BLOCK || !isIntact(block) || !block.subarray(4, 12).equals(MAGIC)) return undefined;
  const bootId = Uint8Array.from(block.subarray(32, 48));
  return {
    capacity: block.readUInt32BE(12),
    serverId: Uint8Array.from(block.subarray(16, 32)),
    bootId: NO_BOOT.equals(bootId) ? undefined : bootId,
    floor: Number(block.readBigUInt64BE(48)) - 1,
    inode: block.readBigUInt64BE(56),
  };
}

/** Writes slot `number` into `block`; without a record it is a free one. */
export function encodeSlot(block: Buffer, number: number, slot?: Slot): Buffer {
  block.fill(0);
  block.writeUInt32BE(number, 4);
  if (slot !== undefined) {
    block[8] = 1;
    block.writeUIntBE(slot.step, 10, 6);
    block.set(slot.id, 16);
    block.set(slot.source, 48);
  }
  return sum(block);
}

/** The record in a slot, undefined for a free one, "damaged" where the block is not slot `number` as it was written. */
export function decodeSlot(block: Buffer, number: number): Slot | undefined | "damaged" {
  if (block.length !== BLOCK || !isIntact(block) || block.readUInt32BE(4) !== number) return "damaged";
  if (block[8] === 0) return undefined;
  return {
    step: block.readUIntBE(10, 6),
    id: Uint8Array.from(block.subarray(16, 48)),
    source: Uint8Array.from(block.subarray(48)),
  };
}

/** Free slots, from number `first` on. */
export function freeSlots(first: number, count: number): Buffer {
  const blocks = Buffer.alloc(count * BLOCK);
  for (let index = 0; index < count; index++) {
    encodeSlot(blocks.subarray(index * BLOCK, (index + 1) * BLOCK), first + index);
  }
  return blocks;
}

function sum(block: Buffer): Buffer {
  block.writeUInt32BE(crc32(block.subarray(4)), 0);
  return block;
}

function isIntact(block: Buffer): boolean {
  return block.readUInt32BE(0) === crc32(block.subarray(4));
}
