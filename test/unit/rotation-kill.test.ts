import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { World } from "../support/rotation-world.ts";

/**
 * Client or daemon killed, or a packet lost, at every step of enrolment and rotation that touches a disk or the network.
 * Afterwards the device opens; no more than current and next work; what a link or an old secret opens is nothing.
 */

interface Scenario {
  /** Brings both sides to where it begins. */
  readonly before?: (world: World) => Promise<void>;
  readonly run: (world: World) => Promise<unknown>;
}

const enrolled = async (world: World): Promise<void> => {
  expect(await world.run("ping")).toBe("pong");
};

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "an enrolment": { run: (world) => world.run("ping") },
  "a rotation": { before: enrolled, run: (world) => world.run("rotate") },
  "an open during a rotation whose replies were lost": {
    before: async (world) => {
      await enrolled(world);
      world.failAt = world.steps + 3;
      await world.run("rotate");
      world.failAt = 0;
    },
    run: (world) => world.run("open"),
  },
  "a new link for a device in use": {
    before: async (world) => {
      await enrolled(world);
      world.relink();
    },
    run: (world) => world.run("ping"),
  },
};

let points = 0;

/** A folder in memory where there is one: this is about the order of writes, and there are many. */
function folder(): string {
  const path = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tock-world-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test.each(Object.entries(SCENARIOS))(
  "%s",
  async (_name, { before, run }) => {
    const attempt = async (point: number): Promise<number> => {
      const world = new World(folder());
      await before?.(world);
      const start = world.steps;
      const known = world.secrets.length;
      world.failAt = point === 0 ? 0 : start + point;
      await run(world);
      const steps = world.steps - start;
      world.failAt = 0;

      check(world, point, known);
      expect(await world.run("open"), `point ${point}`).toBe("opened");
      check(world, point, known);
      expect(await world.run("rotate"), `point ${point}`).toBe("pong");
      check(world, point, known);
      const { keys, device } = world;
      expect(keys.next).toBeUndefined();
      expect(keys.current.equals(device.current.secret)).toBe(true);
      expect(device.next).toBeUndefined();
      world.close();
      return steps;
    };
    const steps = await attempt(0);
    for (let point = 1; point <= steps; point++) await attempt(point);
    points += steps;
  },
  120_000,
);

/** Of all secrets that ever were, those that work are the store's current and next, and no link is one of them. */
function check(world: World, point: number, known: number): void {
  const { current, next, enrolling, nextFromLink } = world.device;
  const mayWork = [enrolling ? [] : [current.secret], next && !nextFromLink ? [next.secret] : []].flat();
  // Using `next` makes it current, which ends `current`: so the others are tried.
  const others = world.secrets.filter((secret) => !mayWork.some((one) => one.equals(secret)));
  for (const secret of others) {
    // A link that has not been used yet would be used up by trying it.
    if (nextFromLink && next?.secret.equals(secret)) continue;
    expect(world.opensWith(secret), `point ${point}`).not.toBe("opened");
  }
  expect(mayWork.length).toBeLessThanOrEqual(2);
  expect(world.secrets.length).toBeGreaterThanOrEqual(known);
}

afterAll(() => {
  expect(points).toBeGreaterThanOrEqual(200);
});
