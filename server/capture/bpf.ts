/**
 * A filter program as a list of lines, so that it can be read, and an assembler to classic BPF (linux/filter.h).
 * There is one accumulator A and one index X. Offsets count from the IP header. A load past the end drops the packet.
 */
export type Line =
  /** A = kind of packet: 0 = for this host */
  | readonly ["load packet type"]
  /** A = the big-endian number of 1, 2 or 4 bytes at an offset */
  | readonly ["load", Size, number]
  /** The same, at X + offset */
  | readonly ["load at x", Size, number]
  /** X = length of the IPv4 header. A is undefined after it. */
  | readonly ["x = header length"]
  | readonly ["x =", number]
  | readonly ["and", number]
  /** Jump when the comparison of A with a number holds */
  | readonly ["if", Comparison, number, string]
  /** Jump when it does not */
  | readonly ["unless", Comparison, number, string]
  | readonly ["label", string]
  /** Goes on when the 8 bytes at X + offset are a known tag; a program without tags always goes on */
  | readonly ["known tag", number]
  /** The same for a tag in the user name of the STUN message at X + offset */
  | readonly ["known stun tag", number]
  | readonly ["keep"]
  | readonly ["drop"];

export type Size = 1 | 2 | 4;
export type Comparison = "==" | ">" | ">=" | "&";

const LOAD: Record<Size, number> = { 1: 0x30, 2: 0x28, 4: 0x20 };
const LOAD_AT_X: Record<Size, number> = { 1: 0x50, 2: 0x48, 4: 0x40 };
const LOAD_X_HEADER = 0xb1;
const LOAD_X = 0x01;
const AND = 0x54;
const RETURN = 0x06;
export const JUMP: Record<Comparison, number> = { "==": 0x15, ">": 0x25, ">=": 0x35, "&": 0x45 };

/** SKF_AD_OFF + SKF_AD_PKTTYPE */
const PACKET_TYPE = 0xfffff004;
/** What a program returns: how many bytes may be kept. */
export const KEEP_ALL = 0xffff;

/** Struct sock_filter for each line: code u16, jump if true u8, jump if false u8, operand u32; native byte order. */
export function assembleClassic(lines: readonly Line[]): Uint8Array {
  const labels = new Map<string, number>();
  const body = lines.filter((line) => !isVirtual(line));
  let position = 0;
  for (const line of lines) {
    if (line[0] === "label") labels.set(line[1], position);
    if (!isVirtual(line)) position++;
  }
  const code = new Uint8Array(body.length * 8);
  for (const [index, line] of body.entries()) {
    const distance = (label: string): number => jumpDistance(label, labels.get(label), index);
    const [operation, operand, jumpTrue, jumpFalse] = encode(line, distance);
    const at = new DataView(code.buffer, index * 8, 8);
    new Uint16Array(code.buffer, index * 8, 1)[0] = operation;
    at.setUint8(2, jumpTrue ?? 0);
    at.setUint8(3, jumpFalse ?? 0);
    new Uint32Array(code.buffer, index * 8 + 4, 1)[0] = operand;
  }
  return code;
}

type Encoded = readonly [code: number, operand: number, jumpTrue?: number, jumpFalse?: number];

function encode(line: Line, distance: (label: string) => number): Encoded {
  switch (line[0]) {
    case "load packet type":
      return [LOAD[4], PACKET_TYPE];
    case "load":
      return [LOAD[line[1]], line[2]];
    case "load at x":
      return [LOAD_AT_X[line[1]], line[2]];
    case "x = header length":
      return [LOAD_X_HEADER, 0];
    case "x =":
      return [LOAD_X, line[1]];
    case "and":
      return [AND, line[1]];
    case "if":
      return [JUMP[line[1]], line[2], distance(line[3]), 0];
    case "unless":
      return [JUMP[line[1]], line[2], 0, distance(line[3])];
    case "keep":
      return [RETURN, KEEP_ALL];
    case "drop":
      return [RETURN, 0];
    case "label":
    case "known tag":
    case "known stun tag":
      throw new RangeError(`bpf: ${line[0]} is no instruction`);
  }
}

/** Lines that take no room in a classic program. */
function isVirtual(line: Line): boolean {
  return line[0] === "label" || line[0] === "known tag" || line[0] === "known stun tag";
}

function jumpDistance(label: string, target: number | undefined, from: number): number {
  const distance = (target ?? -1) - from - 1;
  if (distance < 0 || distance > 255) {
    throw new RangeError(`bpf: expected a label at most 255 instructions ahead, got ${label}`);
  }
  return distance;
}
