import { STUN_MAX_BYTES } from "../../shared/stun.ts";
import { type Comparison, JUMP, KEEP_ALL, type Line, type Size } from "./bpf.ts";

/**
 * The same filter programs for the extended machine (linux/bpf.h), which can look up tags in a map.
 *
 * r0 is A. r6 holds the packet, as BPF_LD_ABS wants it, and r7 is X. Each load overwrites r1 to r5, and ends the
 * program with 0 (drop) when it reaches past the packet.
 */
const R0 = 0;
const R1 = 1;
const R2 = 2;
const R3 = 3;
const PACKET = 6;
const X = 7;
const TAG = 9;
const STACK = 10;

const LOAD: Record<Size, number> = { 1: 0x30, 2: 0x28, 4: 0x20 };
const LOAD_AT: Record<Size, number> = { 1: 0x50, 2: 0x48, 4: 0x40 };
const LOAD_FIELD = 0x61;
const LOAD_MAP = 0x18;
const STORE = 0x7b;
const MOVE = 0xb7;
const COPY = 0xbf;
const ADD = 0x07;
const ADD_REGISTER = 0x0f;
const SUBTRACT_REGISTER = 0x1f;
const AND = 0x57;
const AND_REGISTER = 0x5f;
const OR_REGISTER = 0x4f;
const SHIFT_LEFT = 0x67;
const SHIFT_RIGHT = 0x77;
const SHIFT_RIGHT_SIGNED = 0xc7;
const TO_BIG_ENDIAN = 0xdc;
const GO = 0x05;
const IF_EQUAL = 0x15;
const IF_NEGATIVE = 0xc5;
const CALL = 0x85;
const EXIT = 0x95;

/** struct __sk_buff */
const PACKET_TYPE_FIELD = 4;
const MAP_LOOKUP = 1;
const MAP_DESCRIPTOR = 1;

const STUN_HEADER_BYTES = 20;
const USERNAME = 0x0006;
/** No message has room for more before and with a user name that carries a packet: 193 bytes, padded to 196. */
const MOST_ATTRIBUTES = (STUN_MAX_BYTES - STUN_HEADER_BYTES - (4 + 196)) / 4 + 1;
/** 11 characters of base64 hold the 8 bytes of the tag, and two bits of what follows. */
const TAG_CHARACTERS = 11;
/** First and last character of each run of the alphabet, and what to add to get its value (RFC 4648 §4). */
const BASE64_RUNS = [
  ["A", "Z", -65],
  ["a", "z", -71],
  ["0", "9", 4],
  ["+", "+", 19],
  ["/", "/", 16],
] as const;

/** Struct bpf_insn for each line. `map` is the descriptor of a hash map whose keys are the 8 bytes of known tags. */
export function assembleExtended(lines: readonly Line[], map: number): Uint8Array {
  const program = new Program();
  program.add(COPY, PACKET, R1);
  for (const line of lines) emit(program, line, map);
  return program.code();
}

class Program {
  readonly #instructions: {
    code: number;
    to: number;
    from: number;
    jump: number | string;
    operand: number;
  }[] = [];
  readonly #labels = new Map<string, number>();

  add(code: number, to = 0, from = 0, operand = 0, jump: number | string = 0): void {
    this.#instructions.push({ code, to, from, jump, operand });
  }

  label(name: string): void {
    if (this.#labels.has(name)) throw new RangeError(`ebpf: label ${name} is there already`);
    this.#labels.set(name, this.#instructions.length);
  }

  /** code u8, registers 2 × u4, jump distance i16, operand i32; native byte order, which is little-endian here. */
  code(): Uint8Array {
    const code = new Uint8Array(this.#instructions.length * 8);
    const view = new DataView(code.buffer);
    for (const [index, { code, to, from, jump, operand }] of this.#instructions.entries()) {
      const target = typeof jump === "string" ? this.#labels.get(jump) : index + 1 + jump;
      if (target === undefined) throw new RangeError(`ebpf: label ${jump} is missing`);
      view.setUint8(index * 8, code);
      view.setUint8(index * 8 + 1, (from << 4) | to);
      view.setInt16(index * 8 + 2, target - index - 1, true);
      view.setInt32(index * 8 + 4, operand, true);
    }
    return code;
  }
}

function emit(program: Program, line: Line, map: number): void {
  switch (line[0]) {
    case "load packet type":
      return program.add(LOAD_FIELD, R0, PACKET, 0, PACKET_TYPE_FIELD);
    case "load":
      return program.add(LOAD[line[1]], 0, 0, line[2]);
    case "load at x":
      return program.add(LOAD_AT[line[1]], 0, X, line[2]);
    case "x = header length":
      program.add(LOAD[1]);
      program.add(AND, R0, 0, 15);
      program.add(SHIFT_LEFT, R0, 0, 2);
      return program.add(COPY, X, R0);
    case "x =":
      return program.add(MOVE, X, 0, line[1]);
    case "and":
      return program.add(AND, R0, 0, line[1]);
    case "if":
      return program.add(JUMP[line[1]], R0, 0, line[2], line[3]);
    case "unless":
      program.add(JUMP[line[1] satisfies Comparison], R0, 0, line[2], 1);
      return program.add(GO, 0, 0, 0, line[3]);
    case "label":
      return program.label(line[1]);
    case "known tag":
      return knownTag(program, line[1], map);
    case "known stun tag":
      return knownStunTag(program, line[1], map);
    case "keep":
    case "drop":
      program.add(MOVE, R0, 0, line[0] === "keep" ? KEEP_ALL : 0);
      return program.add(EXIT);
  }
}

function knownTag(program: Program, at: number, map: number): void {
  program.add(LOAD_AT[4], 0, X, at);
  program.add(COPY, TAG, R0);
  program.add(SHIFT_LEFT, TAG, 0, 32);
  program.add(LOAD_AT[4], 0, X, at + 4);
  program.add(OR_REGISTER, TAG, R0);
  lookUp(program, map);
}

/**
 * Walks to the first USERNAME as shared/stun.ts does, then decodes the tag from its first characters.
 *
 * Without loops: for whom has CAP_BPF and not CAP_PERFMON the kernel also follows what a processor may do ahead of a condition,
 * for which no loop ever ends, and refuses the program.
 */
function knownStunTag(program: Program, at: number, map: number): void {
  program.add(ADD, X, 0, at + STUN_HEADER_BYTES);
  for (let attribute = 0; attribute < MOST_ATTRIBUTES; attribute++) {
    program.add(LOAD_AT[4], 0, X, 0);
    program.add(COPY, R1, R0);
    program.add(SHIFT_RIGHT, R1, 0, 16);
    program.add(IF_EQUAL, R1, 0, USERNAME, "user name");
    program.add(AND, R0, 0, 0xffff);
    program.add(ADD, R0, 0, 4 + 3);
    program.add(AND, R0, 0, ~3);
    program.add(ADD_REGISTER, X, R0);
  }
  program.add(GO, 0, 0, 0, "drop");

  program.label("user name");
  program.add(MOVE, TAG, 0, 0);
  for (let character = 0; character < TAG_CHARACTERS; character++) {
    program.add(LOAD_AT[1], 0, X, 4 + character);
    digitValue(program);
    const isLast = character === TAG_CHARACTERS - 1;
    program.add(SHIFT_LEFT, TAG, 0, isLast ? 4 : 6);
    if (isLast) program.add(SHIFT_RIGHT, R0, 0, 2);
    program.add(OR_REGISTER, TAG, R0);
  }
  lookUp(program, map);
}

/**
 * A = value of the character in A; drops what is not in the alphabet. Without branches, since the kernel's verifier
 * walks every path through a loop: -1, plus for each run, where it holds the character, the value + 1.
 */
function digitValue(program: Program): void {
  program.add(MOVE, R3, 0, -1);
  for (const [first, last, offset] of BASE64_RUNS) {
    // (first - 1 - c) & (c - last - 1) is negative within the run; shifted, it is a mask of all ones.
    program.add(MOVE, R1, 0, first.charCodeAt(0) - 1);
    program.add(SUBTRACT_REGISTER, R1, R0);
    program.add(COPY, R2, R0);
    program.add(ADD, R2, 0, -last.charCodeAt(0) - 1);
    program.add(AND_REGISTER, R1, R2);
    program.add(SHIFT_RIGHT_SIGNED, R1, 0, 63);
    program.add(COPY, R2, R0);
    program.add(ADD, R2, 0, offset + 1);
    program.add(AND_REGISTER, R1, R2);
    program.add(ADD_REGISTER, R3, R1);
  }
  program.add(IF_NEGATIVE, R3, 0, 0, "drop");
  program.add(COPY, R0, R3);
}

/** Goes on when the map has TAG, given as a number, as its big-endian bytes. */
function lookUp(program: Program, map: number): void {
  program.add(TO_BIG_ENDIAN, TAG, 0, 64);
  program.add(STORE, STACK, TAG, 0, -8);
  program.add(LOAD_MAP, R1, MAP_DESCRIPTOR, map);
  program.add(0);
  program.add(COPY, R2, STACK);
  program.add(ADD, R2, 0, -8);
  program.add(CALL, 0, 0, MAP_LOOKUP);
  program.add(IF_EQUAL, R0, 0, 0, "drop");
}
