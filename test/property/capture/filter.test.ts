import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type CapturePlan, Frame, type FrameFault, parseFrame } from "../../../server/core/frame.ts";
import { FilterProbe } from "../../support/filter-probe.ts";
import { packetBytes } from "./packets.ts";

/** The filter must keep whatever the parser takes; what else it keeps may only be malformed in detail. */
const MALFORMED: ReadonlySet<FrameFault> = new Set(["lengths", "truncated", "mapped-source"]);

const plans: CapturePlan[] = [
  { spa: 62201, knock: undefined },
  ...(["tcp", "udp", "both"] as const).map((transport) => ({
    spa: 62201,
    knock: { first: 10000, last: 32767, transport },
  })),
];

describe.each(plans)("the kernel's filter and the parser agree: $knock.transport", (plan) => {
  const classic = new FilterProbe(plan, { useTags: false });
  const extended = new FilterProbe(plan, { useTags: true });
  afterAll(() => {
    classic[Symbol.dispose]();
    extended[Symbol.dispose]();
  });

  test("classic", () => {
    expect(classic.filter.kind).toBe("cbpf");
    fc.assert(
      fc.property(packetBytes(), (packet) => {
        const frame = new Frame();
        frame.attach(packet);
        const fault = parseFrame(frame, 0, packet.length, plan);
        const keeps = packet.length > 0 && classic.keeps(packet);
        if (fault === undefined) expect(keeps).toBe(true);
        else if (keeps && !isStunLength(frame, fault)) expect(MALFORMED).toContain(fault);
      }),
      { numRuns: 4_000 },
    );
  });

  test("extended, without any tag: the same but for packets", () => {
    expect(extended.filter.kind).toBe("ebpf");
    fc.assert(
      fc.property(packetBytes(), (packet) => {
        fc.pre(packet.length > 0);
        const frame = new Frame();
        frame.attach(packet);
        const fault = parseFrame(frame, 0, packet.length, plan);
        const isKnock = fault === undefined && frame.kind === "knock";
        if (fault === undefined) expect(extended.keeps(packet)).toBe(isKnock);
        else if (extended.keeps(packet)) expect(MALFORMED).toContain(fault);
      }),
      { numRuns: 4_000 },
    );
  });
});

/** The one rule of form that the filter leaves to the parser: the length that a STUN message says it has. */
function isStunLength({ data, payloadAt, payloadLength }: Frame, fault: FrameFault): boolean {
  return (
    fault === "not-ours" &&
    payloadLength >= 28 &&
    data.getUint32(payloadAt + 4) === 0x2112a442 &&
    data.getUint16(payloadAt + 2) !== payloadLength - 20
  );
}
