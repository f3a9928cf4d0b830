import { describe, expect, test } from "vitest";
import type { UnixMillis } from "../../../shared/brand.ts";
import { stepAt } from "../../../shared/time-step.ts";
import type { Device } from "../../../server/core/device.ts";
import { DeviceTable } from "../../../server/core/device-table.ts";
import { later, makeDevice, NOW, SEED, secretFrom, Sender, SERVER_ID } from "../../support/core.ts";

const STEP = 30_000;

function tableOf(feed?: { add(tags: Uint8Array): void; remove(tags: Uint8Array): void }) {
  const options = { serverId: SERVER_ID, skew: { past: 1, future: 1 }, knock: undefined, seed: SEED };
  const table = new DeviceTable(feed ? { ...options, feed } : options);
  table.advance(NOW);
  return table;
}

function slotOf(table: DeviceTable, secret: string, now: UnixMillis = NOW): string | undefined {
  return table.findTag(new Sender(secretFrom(secret)).tag(stepAt(now)), 0)?.slot;
}

const retired = (until: UnixMillis): Partial<Device> => ({ retired: [{ secret: secretFrom("old"), until }] });

describe("the device table", () => {
  test("gives a removed device's place to the next one", () => {
    const table = tableOf();
    for (let n = 0; n < 50; n++) {
      table.put(makeDevice(`alice/d${n}`), false);
      table.remove(makeDevice(`alice/d${n}`).id);
    }
    table.advance(later(NOW, STEP));
    // One place in the one step that came in.
    expect(table.work(0)).toBe(1);
  });

  test("forgets a retired secret when its time is over, also if that was brought forward", () => {
    const table = tableOf();
    table.put(makeDevice("alice/phone", retired(later(NOW, 1e6))), false);
    expect(slotOf(table, "old")).toBe("retired");
    table.put(makeDevice("alice/phone", retired(later(NOW, -STEP))), false);
    expect(slotOf(table, "old")).toBeUndefined();
  });

  test("keeps the newest of very many retired secrets", () => {
    const many = Array.from({ length: 40 }, (_, n) => ({
      secret: secretFrom(`old ${n}`),
      until: later(NOW, n * 1e5),
    }));
    const table = tableOf();
    table.put(makeDevice("alice/phone", { retired: many }), false);
    const known = many.flatMap((_, n) => (slotOf(table, `old ${n}`) === "retired" ? [n] : []));
    expect(known).toEqual(Array.from({ length: 16 }, (_, n) => 24 + n));
  });

  test("takes over a device's new policy without another look at its keys", () => {
    const table = tableOf();
    table.put(makeDevice(), false);
    const { tag } = { tag: new Sender(secretFrom("alice/phone")).tag(stepAt(NOW)) };
    const before = table.findTag(tag, 0);
    table.put(makeDevice("alice/phone", { enabled: false }), false);
    const after = table.findTag(tag, 0);
    expect(after?.device.enabled).toBe(false);
    expect(after?.schedule).toBe(before?.schedule);
  });

  test("tells the feed in slices, and no more at once than was asked", () => {
    const told = { added: [] as number[], removed: [] as number[] };
    const table = tableOf({
      add: (tags) => told.added.push(tags.length / 8),
      remove: (tags) => told.removed.push(tags.length / 8),
    });
    for (let n = 0; n < 20; n++) table.put(makeDevice(`alice/d${n}`), false);
    told.added.length = 0;
    table.advance(later(NOW, STEP));
    expect(told).toEqual({ added: [], removed: [] });
    for (let left = table.work(0); left > 0; left = table.work(7)) expect(left).toBeGreaterThan(0);
    expect(told).toEqual({ added: [7, 7, 6], removed: [7, 7, 6] });
  });

  test("a step that comes back while it is leaving is the feed's again", () => {
    const tags = new Set<string>();
    const each = (packed: Uint8Array) =>
      Array.from({ length: packed.length / 8 }, (_, n) => packed.subarray(n * 8, n * 8 + 8).join());
    const table = tableOf({
      add: (packed) => each(packed).forEach((tag) => tags.add(tag)),
      remove: (packed) => each(packed).forEach((tag) => tags.delete(tag)),
    });
    for (let n = 0; n < 20; n++) table.put(makeDevice(`alice/d${n}`), false);
    const before = new Set(tags);
    table.advance(later(NOW, STEP));
    table.work(3);
    table.advance(NOW);
    while (table.work(3) > 0);
    expect(tags).toEqual(before);
  });

  test("the current step is ready first, the coming one last", () => {
    const table = tableOf();
    table.advance(later(NOW, 100 * STEP));
    for (let n = 0; n < 10; n++) table.put(makeDevice(`alice/d${n}`), false);
    table.advance(NOW);
    const known = () =>
      [-1, 0, 1].map((by) => slotOf(table, "alice/d0", later(NOW, by * STEP)) !== undefined);
    expect(known()).toEqual([false, false, false]);
    table.work(10);
    expect(known()).toEqual([false, true, false]);
    table.work(10);
    expect(known()).toEqual([true, true, false]);
    expect(table.work(10)).toBe(10);
    expect(known()).toEqual([true, true, true]);
    expect(table.work(10)).toBe(0);
  });
});
