import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type CapturePlan, Frame, parseFrame } from "../../../server/core/frame.ts";
import { packetBytes } from "../capture/packets.ts";

const PLAN: CapturePlan = { spa: 62201, knock: { first: 10000, last: 32767, transport: "both" } };

/** Describes `packet` among bytes of `fill`; without `attach` anything that is written would show up, too. */
function describeAmong(packet: Uint8Array, fill: number): Record<string, unknown> {
  const memory = new Uint8Array(packet.length + 64).fill(fill);
  memory.set(packet, 32);
  const frame = new Frame();
  frame.attach(memory);
  const fault = parseFrame(frame, 32, packet.length, PLAN);
  if (fault !== undefined) return { fault };
  const { bytes, data, ...fields } = frame;
  expect(bytes).toBe(memory);
  expect(data.buffer).toBe(memory.buffer);
  return fields;
}

test("any bytes: never throws, never depends on bytes outside, never points outside", () => {
  fc.assert(
    fc.property(packetBytes(), (packet) => {
      const seen = describeAmong(packet, 0x00);
      expect(describeAmong(packet, 0xff)).toEqual(seen);
      if ("fault" in seen) return;
      const { payloadAt, payloadLength, sourceAt, destinationAt, family } = seen as unknown as Frame;
      const size = family === 4 ? 4 : 16;
      for (const [at, length] of [
        [payloadAt, payloadLength],
        [sourceAt, size],
        [destinationAt, size],
      ] as const) {
        expect(length).toBeGreaterThanOrEqual(0);
        expect(at).toBeGreaterThanOrEqual(32);
        expect(at + length).toBeLessThanOrEqual(32 + packet.length);
      }
    }),
    { numRuns: 5_000 },
  );
});

test("memory that ends with the packet is enough", () => {
  fc.assert(
    fc.property(packetBytes(), (packet) => {
      const frame = new Frame();
      frame.attach(packet);
      parseFrame(frame, 0, packet.length, PLAN);
    }),
    { numRuns: 5_000 },
  );
});
