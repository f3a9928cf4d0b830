import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TimeStep, UnixMillis } from "../../../shared/brand.ts";
import { hex } from "../../../shared/bytes.ts";
import type { Secret } from "../../../shared/secret.ts";
import { stepAt } from "../../../shared/time-step.ts";
import type { Device } from "../../../server/core/device.ts";
import { DeviceTable } from "../../../server/core/device-table.ts";
import { later, makeDevice, NOW, SEED, secretFrom, Sender, SERVER_ID } from "../../support/core.ts";

const SKEW = { past: 1, future: 1 };
const STEP = 30_000;

// Few devices and few secrets, so that histories meet themselves.
const name = fc.constantFrom("alice/phone", "alice/laptop", "bob/phone");
const secret = fc.constantFrom("a", "b", "c", "d");
// Some at the very start of a step.
const instant = fc
  .tuple(fc.integer({ min: -2, max: 4 }), fc.constantFrom(0, -10_000))
  .map(([steps, by]) => later(NOW, steps * STEP + by));
const device = fc
  .record({
    id: name,
    secrets: fc.uniqueArray(secret, { minLength: 1, maxLength: 4 }),
    hasNext: fc.boolean(),
    enrolling: fc.boolean(),
    until: instant,
  })
  .map(({ id, secrets: [current = "a", ...others], hasNext, enrolling, until }): Device => {
    const own = (name: string) => secretFrom(`${id} ${name}`);
    const next = hasNext ? others[0] : undefined;
    return makeDevice(id, {
      current: { secret: own(current), since: NOW },
      next: next === undefined ? undefined : { secret: own(next), since: NOW },
      retired: others.slice(hasNext ? 1 : 0).map((name) => ({ secret: own(name), until })),
      enrolling,
    });
  });

const action = fc.oneof(
  device.map((device) => ({ kind: "put", device }) as const),
  name.map((id) => ({ kind: "remove", id: makeDevice(id).id }) as const),
  fc.integer({ min: -4 * STEP, max: 4 * STEP }).map((by) => ({ kind: "clock", by }) as const),
  fc.constant({ kind: "clock", by: STEP } as const),
  fc.integer({ min: 1, max: 5 }).map((budget) => ({ kind: "work", budget }) as const),
);

describe("the device table", () => {
  test("knows, after any history, exactly the tags of the window's steps", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 25 }), fc.boolean(), (actions, isFed) => {
        const feed = new TagSet();
        const options = { serverId: SERVER_ID, skew: SKEW, knock: undefined, seed: SEED };
        const table = new DeviceTable(isFed ? { ...options, feed } : options);
        const model = new Map<string, Device>();
        let now = NOW;
        table.advance(now);
        for (const action of actions) {
          if (action.kind === "put") {
            table.put(action.device, true);
            model.set(action.device.id, action.device);
          } else if (action.kind === "remove") {
            expect(table.remove(action.id)).toBe(model.delete(action.id));
          } else if (action.kind === "clock") {
            now = later(now, action.by);
            table.advance(now);
          } else {
            table.work(action.budget);
          }
          for (const [tag, hit] of known(table, model, now)) {
            const expected = tagsAt(model, windowOf(now)).get(tag);
            if (hit !== undefined) expect(hit).toEqual(expected);
          }
        }
        while (table.work(2) > 0);
        const expected = tagsAt(model, windowOf(now));
        for (const [tag, hit] of known(table, model, now)) expect(hit).toEqual(expected.get(tag));
        const coming = (stepAt(now) + SKEW.future + 1) as TimeStep;
        const fed = [...tagsAt(model, [...windowOf(now), coming]).keys()].sort();
        if (isFed) expect([...feed.tags].sort()).toEqual(fed);
        expect(packed(table)).toEqual(fed);
        expect(table.size).toBe(model.size);
        expect([...table.devices()].map(({ id }) => id).sort()).toEqual([...model.keys()].sort());
        for (const [id, device] of model) expect(table.get(device.id)?.id).toBe(id);
      }),
      { numRuns: 100 },
    );
  });
});

/** A feed that holds what it was told. */
class TagSet {
  readonly tags = new Set<string>();
  add(tags: Uint8Array): void {
    for (const tag of split(tags)) this.tags.add(tag);
  }
  remove(tags: Uint8Array): void {
    for (const tag of split(tags)) this.tags.delete(tag);
  }
}

function split(tags: Uint8Array): string[] {
  return Array.from({ length: tags.length / 8 }, (_, index) => hex(tags.subarray(index * 8, index * 8 + 8)));
}

function packed(table: DeviceTable): string[] {
  return split(table.packTags()).sort();
}

function windowOf(now: UnixMillis): TimeStep[] {
  return [-1, 0, 1].map((by) => (stepAt(now) + by) as TimeStep);
}

const tags = new Map<string, string>();
function tagOf(secret: Secret, step: TimeStep): string {
  const key = `${hex(secret.expose())} ${step}`;
  const tag = tags.get(key) ?? hex(new Sender(secret).tag(step));
  tags.set(key, tag);
  return tag;
}

/** Every tag of some steps, and whose it is. */
function tagsAt(model: ReadonlyMap<string, Device>, steps: readonly TimeStep[]) {
  const tags = new Map<string, { id: string; slot: string; step: number }>();
  for (const device of model.values()) {
    for (const step of steps) {
      const add = (slot: string, secret: Secret) =>
        tags.set(tagOf(secret, step), { id: device.id, slot, step });
      add("current", device.current.secret);
      if (device.next !== undefined) add("next", device.next.secret);
      for (const { secret, until } of device.retired) if (until > step * STEP) add("retired", secret);
    }
  }
  return tags;
}

/** What the table says of every tag that any secret has in the steps around `now`. */
function* known(table: DeviceTable, model: ReadonlyMap<string, Device>, now: UnixMillis) {
  const steps = Array.from({ length: 9 }, (_, index) => (stepAt(now) + index - 4) as TimeStep);
  for (const id of ["alice/phone", "alice/laptop", "bob/phone"]) {
    for (const name of ["a", "b", "c", "d"]) {
      for (const step of steps) {
        const tag = tagOf(secretFrom(`${id} ${name}`), step);
        const bytes = Buffer.from(`00${tag}`, "hex");
        const hit = table.findTag(bytes, 1);
        yield [tag, hit && { id: hit.device.id, slot: hit.slot, step: hit.step }] as const;
      }
    }
  }
  expect(model.size).toBeLessThanOrEqual(3);
}
