import type { Port } from "./brand.ts";
import { KNOCK_BLOCKED } from "./constants.ts";

/** The shape of a server's knock sequences: `length` distinct ports from `first` to `last`. */
export interface KnockShape {
  readonly first: number;
  readonly last: number;
  readonly length: number;
}

/**
 * The ports of a step, in order. `words(block)` gives the 64 bytes K("knock", T) of a block, 0, 1, 2 …
 *
 * Each block is 32 big-endian words of 16 bits. A word below floor(65536 / span) · span gives first + word mod span;
 * other words, ports drawn already and ports that browsers block are skipped, so that every port is equally likely.
 */
export function knockSequence(shape: KnockShape, words: (block: number) => Uint8Array): Port[] {
  const span = shape.last - shape.first + 1;
  const fair = Math.floor(65536 / span) * span;
  const ports: Port[] = [];
  for (let block = 0; ports.length < shape.length; block++) {
    if (block > 255) throw new RangeError("knock sequence: expected a range that holds its length in ports");
    const bytes = words(block);
    for (let at = 0; at < bytes.length && ports.length < shape.length; at += 2) {
      const word = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
      const port = (shape.first + (word % span)) as Port;
      if (word < fair && !KNOCK_BLOCKED.has(port) && !ports.includes(port)) ports.push(port);
    }
  }
  return ports;
}
