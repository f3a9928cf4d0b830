import { hash } from "node:crypto";
import { join } from "node:path";

/**
 * The files of the audit trail: `audit.jsonl` is written to, `audit.1.jsonl` was before it, and so on. Each line is a JSON
 * object that ends in `prev`, the hash of the line before it; the chain goes on from file to file. `audit.head` keeps number
 * and hash of the last line, so that lines taken from the end show too.
 */

/** What stands before the first line. */
export const NO_HASH = "0".repeat(64);

/** The last line written, and the first that rotation has kept. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
  readonly first: number;
}

/** A line of the trail. */
export interface TrailLine {
  /** Counts up from 1. */
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  readonly kind: string;
  readonly prev: string;
  readonly [field: string]: unknown;
}

/** File `number` of the trail; 0 is written to, larger numbers are older. */
export function trailFile(folder: string, number: number): string {
  return join(folder, number === 0 ? "audit.jsonl" : `audit.${number}.jsonl`);
}

export function headFile(folder: string): string {
  return join(folder, "audit.head");
}

/** SHA-256 of a line without its line break, in hex. */
export function hashOf(line: string): string {
  return hash("sha256", line, "hex");
}

/** The line that a text is, or undefined where it is none. */
export function parseLine(text: string): TrailLine | undefined {
  const value = parseObject(text);
  const { seq, at, kind, prev } = value ?? {};
  const isLine =
    Number.isSafeInteger(seq) &&
    typeof at === "string" &&
    typeof kind === "string" &&
    typeof prev === "string" &&
    /^[0-9a-f]{64}$/.test(prev);
  return isLine ? (value as unknown as TrailLine) : undefined;
}

export function parseHead(text: string): Head | undefined {
  const { seq, hash, first } = parseObject(text) ?? {};
  if (!Number.isSafeInteger(seq) || !Number.isSafeInteger(first) || typeof hash !== "string")
    return undefined;
  return { seq: Number(seq), hash, first: Number(first) };
}

/** Of one length, so that a new one overwrites the old one whole. */
export function formatHead(head: Head): string {
  return `${JSON.stringify(head).padEnd(159)}\n`;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
