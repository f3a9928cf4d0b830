import * as fc from "fast-check";
import { expect, test } from "vitest";
import { grantOf } from "../../server/core/policy.ts";
import { DryRunFirewall } from "../../server/firewall/dry-run.ts";
import { Ledger } from "../../server/ledger.ts";
import { OpenGrants } from "../../server/open-grants.ts";
import type { GrantRow, Notes } from "../../server/store/grant-store.ts";
import { type DeviceId, type Port, seconds, type UnixMillis, userOf } from "../../shared/brand.ts";
import { ok, unwrap } from "../../shared/result.ts";
import { address, deviceId, later, makeService, NOW, serviceName } from "../support/core.ts";

/**
 * Grants against a list of who asked for what and until when: long histories of opens, closes, removed devices, restarts that
 * lose what was not yet written down, flushed rules, and a clock that is set both ways. The kernel's time goes on evenly.
 */

const DEVICES = ["alice/laptop", "alice/phone", "bob/phone", "carol/pi"].map(deviceId);
/** Two addresses of one network, and one of another. */
const SOURCES = ["192.0.2.7", "192.0.2.8", "2001:db8::9"].map(address);
const KINDS = [
  { prefix: undefined, sourcePort: undefined },
  { prefix: undefined, sourcePort: 4000 as Port },
  { prefix: 24, sourcePort: undefined },
] as const;
const ssh = makeService();

interface Asked {
  readonly device: DeviceId;
  readonly source: number;
  readonly kind: number;
  /** By the kernel's clock. */
  readonly until: number;
}

class World {
  /** The kernel's clock, and how far that of the day is ahead. */
  kernel = 0;
  ahead = 0;
  isMoved = false;
  /** The daemon may know less than was asked: something was lost. */
  isExact = true;
  /** There are notes that are not written down yet; a kill took some. */
  isUnwritten = false;
  isLost = false;
  asked: Asked[] = [];
  readonly rows = new Map<string, GrantRow>();
  readonly firewall = new DryRunFirewall({ log: () => undefined, now: () => this.kernel });
  ledger!: Ledger;
  grants!: OpenGrants;

  constructor() {
    unwrap(this.firewall.guardOn({ services: [ssh], silent: [] }));
    this.restart();
  }

  get now(): UnixMillis {
    return later(NOW, this.kernel + this.ahead);
  }

  restart(): void {
    const store = {
      note: ({ opened, ended }: Notes, now: UnixMillis) => {
        for (const row of ended) this.rows.delete(keyOf(row));
        for (const row of opened) this.rows.set(keyOf(row), row);
        for (const [key, { expiresAt }] of [...this.rows]) if (expiresAt <= now) this.rows.delete(key);
        return ok(undefined);
      },
    };
    this.ledger = new Ledger(
      store as never,
      () => this.now,
      () => undefined,
    );
    this.grants = new OpenGrants(this.firewall, this.ledger, () => this.kernel);
    unwrap(this.grants.restore([...this.rows.values()], [ssh], this.now));
  }

  open(device: DeviceId, source: number, kind: number, lifetime: number): void {
    // An IPv6 address is let in as it is.
    const chosen = SOURCES[source]!.family === 6 && kind === 2 ? 0 : kind;
    const grant = grantOf({
      device,
      service: ssh,
      source: SOURCES[source]!,
      lifetime: seconds(lifetime),
      expiresAt: later(this.now, lifetime * 1000),
      connections: 0,
      ...KINDS[chosen]!,
    });
    unwrap(this.firewall.open(grant));
    this.grants.add(grant);
    this.isUnwritten = true;
    this.asked.push({ device, source, kind: chosen, until: this.kernel + lifetime * 1000 });
  }

  close(device: DeviceId, source: number): void {
    this.isUnwritten = true;
    unwrap(this.grants.close(device, serviceName("ssh"), SOURCES[source]!));
    // Who lost the notes of the last second to a kill may close in vain: then the kernel's time ends it.
    if (this.isLost) return;
    this.asked = this.asked.filter((each) => userOf(each.device) !== userOf(device) || !letsIn(each, source));
  }

  remove(device: DeviceId): void {
    this.isUnwritten = true;
    for (const ended of this.grants.closeAll(device)) unwrap(ended);
    // A daemon that does not know whose a grant is leaves it to the kernel's time.
    if (this.isExact) this.asked = this.asked.filter((each) => each.device !== device);
  }

  /** Where the clock was set before a restart, nobody's time is known better than the kernel has it. */
  forgetTimes(): void {
    const most = new Map<string, number>();
    for (const each of this.asked) {
      const place = placeOfAsked(each);
      most.set(place, Math.max(most.get(place) ?? 0, each.until));
    }
    this.asked = this.asked.map((each) => ({ ...each, until: most.get(placeOfAsked(each)) ?? each.until }));
  }

  sweep(): void {
    this.grants.takeOver(this.now);
    this.ledger.flush();
    this.isUnwritten = false;
  }

  check(): void {
    // What is put back for others is put back for whole seconds.
    this.asked = this.asked.filter(({ until }) => until > this.kernel - 1_000);
    const held = new Map(unwrap(this.firewall.list()).map((each) => [placeOf(each), each.remaining]));
    const wanted = new Map<string, number>();
    for (const each of this.asked) {
      const key = placeOfAsked(each);
      wanted.set(key, Math.max(wanted.get(key) ?? -1_000, each.until - this.kernel));
    }
    for (const [place, remaining] of held)
      expect(remaining, `open, and nobody asked: ${place}`).toBeLessThan(
        (wanted.get(place) ?? -1_000) + 1_000,
      );
    if (!this.isExact) return;
    for (const [place, remaining] of wanted)
      expect(held.get(place) ?? 0, `asked for, and shut: ${place}`).toBeGreaterThanOrEqual(remaining);
  }
}

function letsIn(each: Asked, source: number): boolean {
  return each.source === source || (each.kind === 2 && each.source < 2 && source < 2);
}

function placeOf({ source, prefix, sourcePort }: Pick<GrantRow, "source" | "prefix" | "sourcePort">): string {
  return `${source.text} ${prefix ?? ""} ${sourcePort ?? ""}`;
}

function placeOfAsked({ source, kind }: Asked): string {
  return kind === 2 ? "192.0.2.0 24 " : placeOf({ source: SOURCES[source]!, ...KINDS[kind]! });
}

const keyOf = (row: GrantRow): string => `${row.device} ${placeOf(row)}`;

const device = fc.constantFrom(...DEVICES);
const source = fc.nat({ max: SOURCES.length - 1 });
type Step = (world: World) => void;
const step: fc.Arbitrary<{ text: string; run: Step }> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(device, source, fc.nat({ max: 2 }), fc.constantFrom(1, 5, 30, 300))
      .map(([who, from, kind, lifetime]) =>
        named(`${who} opens ${from}/${kind} for ${lifetime}`, (world) =>
          world.open(who, from, kind, lifetime),
        ),
      ),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(device, source)
      .map(([who, from]) => named(`${who} closes ${from}`, (world) => world.close(who, from))),
  },
  { weight: 1, arbitrary: device.map((who) => named(`${who} is removed`, (world) => world.remove(who))) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(400, 1_000, 4_000, 25_000, 400_000).map((millis) =>
      named(`${millis} ms`, (world) => {
        world.kernel += millis;
        // The daemon does so once a second.
        if (millis >= 2_000) world.sweep();
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(-3_600_000, -20_000, 20_000, 3_600_000).map((millis) =>
      named(`the clock is set by ${millis}`, (world) => {
        world.ahead += millis;
        world.isMoved = true;
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constant(
      named("sweep and write", (world) => {
        world.sweep();
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((isKilled) =>
      named(isKilled ? "killed" : "restarted", (world) => {
        // Owners are written down with the time of the day: with another clock some may not be known again.
        if (isKilled && world.isUnwritten) {
          world.isLost = true;
          world.forgetTimes();
        }
        if (isKilled || world.isMoved) world.isExact = false;
        if (!isKilled) world.ledger.flush();
        if (world.isMoved) world.forgetTimes();
        world.restart();
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      named("rules flushed by others, and back", (world) => {
        unwrap(world.firewall.guardOff());
        unwrap(world.firewall.guardOn({ services: [ssh], silent: [] }));
        world.isExact = false;
      }),
    ),
  },
);

function named(text: string, run: Step): { text: string; run: Step; toString: () => string } {
  return { text, run, toString: () => text };
}

test("grants are open while somebody asked for them, and no longer, whatever happens", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const world = new World();
      try {
        for (const { run } of steps) {
          run(world);
          world.check();
        }
      } finally {
        world.ledger.flush();
      }
    }),
    { numRuns: Number(process.env["TOCK_RUNS"] ?? 300) },
  );
});
