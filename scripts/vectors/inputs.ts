import { bytes, hkdf, sample, uint, utf8 } from "./primitives.ts";

/** What most vectors share: two devices of one server, another server, and one moment. */
export const SERVER_ID = bytes("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
export const OTHER_SERVER_ID = sample("tock vectors: another server", 16);
export const SECRET = bytes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
export const OTHER_SECRET = sample("tock vectors: another device", 32);

/** 2026-01-01 00:00:12.345 UTC, and its step. */
export const NOW = 1_767_225_612_345;
export const STEP = 58_907_520;

export interface Keys {
  readonly tag: Buffer;
  readonly seal: Buffer;
  readonly ack: Buffer;
  readonly ice: Buffer;
}

/** K(label, step, length), with the block number of a knock block after the first. */
export function derive(
  secret: Buffer,
  id: Buffer,
  label: string,
  step: number,
  length: number,
  block = 0,
): Buffer {
  const info = Buffer.concat([utf8(label), block === 0 ? Buffer.alloc(0) : uint(block, 1), uint(step, 8)]);
  return hkdf(secret, Buffer.concat([utf8("tock/1"), id]), info, length);
}

export function keysOf(secret: Buffer, id: Buffer, step: number): Keys {
  return {
    tag: derive(secret, id, "tag", step, 8),
    seal: derive(secret, id, "seal", step, 32),
    ack: derive(secret, id, "ack", step, 32),
    ice: derive(secret, id, "ice", step, 18),
  };
}

/** Base64 without padding. */
export function plainBase64(data: Buffer): string {
  return data.toString("base64").replaceAll("=", "");
}

/** The buffer with one byte replaced. */
export function withByte(data: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(data);
  copy[at] = value;
  return copy;
}

/** The buffer with one bit turned over; bit 0 is the lowest of the first byte. */
export function flipBit(data: Buffer, bit: number): Buffer {
  return withByte(data, bit >> 3, data[bit >> 3]! ^ (1 << (bit & 7)));
}
