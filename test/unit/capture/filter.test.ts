import { afterAll, describe, expect, test } from "vitest";
import { assembleClassic } from "../../../server/capture/bpf.ts";
import { assembleExtended } from "../../../server/capture/ebpf.ts";
import type { CapturePlan } from "../../../server/core/frame.ts";
import { fragments, tcpFrame, udpFrame } from "../../lab/frame.ts";
import { FilterProbe } from "../../support/filter-probe.ts";

/** Cases that random packets seldom hit. The rest is in test/property/capture. */

const PLAN: CapturePlan = { spa: 62201, knock: { first: 10000, last: 32767, transport: "both" } };
const from = { mac: "02:00:00:00:00:01", address: "192.0.2.7", port: 40000 };
const to = { ...from, address: "192.0.2.1", port: 62201 };
const spa = udpFrame(from, to, Buffer.alloc(144, 5));

describe.each([true, false])("with tags: %s", (useTags) => {
  const probe = new FilterProbe(PLAN, { useTags });
  probe.filter.add(Buffer.alloc(8, 5));
  afterAll(() => probe[Symbol.dispose]());

  test("an IPv4 header may have options", () => {
    for (const words of [5, 6, 15]) {
      const packet = Buffer.concat([spa.subarray(14, 34), Buffer.alloc(words * 4 - 20, 1), spa.subarray(34)]);
      packet.writeUInt8(0x40 | words, 0);
      packet.writeUInt16BE(packet.length, 2);
      expect(probe.keeps(packet), `${words} words`).toBe(true);
    }
  });

  test("no fragment is kept, the first and the last one neither", () => {
    const parts = fragments(spa, 80).map((part) => part.subarray(14));
    expect(parts.map((part) => probe.keeps(part))).toEqual([false, false]);
    const knock = fragments(udpFrame(from, { ...to, port: 10000 }, Buffer.alloc(144)), 80);
    expect(knock.map((part) => probe.keeps(part.subarray(14)))).toEqual([false, false]);
  });

  test("of all TCP flags only those that open a connection are kept", () => {
    for (let flags = 0; flags < 256; flags++) {
      const kept = probe.keeps(tcpFrame(from, { ...to, port: 10000 }, flags).subarray(14));
      expect(kept, `flags ${flags}`).toBe((flags & 0x02) !== 0 && (flags & 0x15) === 0);
    }
  });
});

test("a program with a label that is missing, or too far away, is refused", () => {
  const jump = ["if", "==", 1, "end"] as const;
  const far = Array.from({ length: 256 }, () => ["and", 1] as const);
  const message = "bpf: expected a label at most 255 instructions ahead, got end";
  expect(() => assembleClassic([jump, ["drop"]])).toThrow(message);
  expect(() => assembleClassic([jump, ...far, ["label", "end"], ["drop"]])).toThrow(message);
  expect(() => assembleClassic([["label", "end"], jump, ["drop"]])).toThrow(message);
  expect(assembleClassic([jump, ...far.slice(1), ["label", "end"], ["drop"]])).toHaveLength(257 * 8);
  expect(() => assembleExtended([jump, ["drop"]], 3)).toThrow("ebpf: label end is missing");
  expect(() =>
    assembleExtended(
      [
        ["label", "end"],
        ["label", "end"],
      ],
      3,
    ),
  ).toThrow("ebpf: label end is there already");
});
