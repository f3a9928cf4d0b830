import { mkdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { AuditEvent } from "../../server/core/event.ts";
import type { GuardPlan } from "../../server/core/firewall.ts";
import { grantOf } from "../../server/core/policy.ts";
import { DryRunFirewall } from "../../server/firewall/dry-run.ts";
import { GuardKeeper } from "../../server/guard-keeper.ts";
import { GuardWish } from "../../server/guard-wish.ts";
import { seconds } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, type Result, unwrap } from "../../shared/result.ts";
import { address, deviceId, later, makeService, NOW } from "../support/core.ts";
import { scratch } from "../support/tockd.ts";

/** What becomes of grants while the guard is off, or wanted and not to be had. */

const ssh = makeService();
const plan: GuardPlan = { services: [ssh], silent: [] };
const grant = grantOf({
  device: deviceId("alice/phone"),
  service: ssh,
  source: address("192.0.2.1"),
  lifetime: seconds(30),
  expiresAt: later(NOW, 30_000),
  connections: 0,
  prefix: undefined,
  sourcePort: undefined,
});

/** A picture of a firewall whose rules somebody changes, and that refuses to have them put back. */
class Stubborn extends DryRunFirewall {
  isStuck = false;
  changed: () => void = () => undefined;

  override guardOn(wanted: GuardPlan): Result<void> {
    return this.isStuck
      ? err(new TockError("firewall", "the guard cannot be put on"))
      : super.guardOn(wanted);
  }

  override watch(changed?: () => void): () => void {
    this.changed = changed ?? this.changed;
    return () => undefined;
  }

  /** Rules of another plan, which still take grants. */
  damage(): void {
    unwrap(super.guardOn({ ...plan, silent: [{ ...ssh.ports[0]!, protocol: "udp" }] }));
    this.changed();
  }
}

const console = { client: undefined, clientPort: undefined };

let firewall: Stubborn;
let wish: GuardWish;
let keeper: GuardKeeper;
let events: AuditEvent[];

beforeEach(() => {
  firewall = new Stubborn({ log: () => undefined, now: () => 0 });
  events = [];
  wish = new GuardWish(scratch());
  keeper = new GuardKeeper(firewall, plan, wish, (event) => events.push(event));
  unwrap(keeper.start());
});

describe("while the guard is wanted and cannot be put back", () => {
  beforeEach(() => {
    unwrap(keeper.on());
    firewall.isStuck = true;
  });

  test("a grant is an error, and the kernel holds nothing that nobody owns", () => {
    firewall.damage();
    expect(keeper.open(grant)).toMatchObject({ ok: false, error: { message: "the guard cannot be put on" } });
    expect(unwrap(firewall.list())).toEqual([]);
    expect(events).toContainEqual({ kind: "firewall-error", message: "the guard cannot be put on" });
  });

  test("what was opened before stays open for who owns it", () => {
    expect(unwrap(keeper.open(grant))).toBe("confirmed");
    firewall.damage();
    expect(keeper.open(grant).ok).toBe(false);
    expect(unwrap(firewall.list())).toHaveLength(1);
  });

  test("grants are taken again when it is back", () => {
    firewall.damage();
    expect(keeper.open(grant).ok).toBe(false);
    firewall.isStuck = false;
    firewall.changed();
    expect(unwrap(keeper.open(grant))).toBe("confirmed");
    expect(unwrap(firewall.list())).toHaveLength(1);
  });
});

test("while the guard is off a grant is told apart from one that the kernel confirmed", () => {
  expect(unwrap(keeper.open(grant))).toBe("unguarded");
  unwrap(keeper.on());
  expect(unwrap(keeper.open(grant))).toBe("confirmed");
  unwrap(keeper.off());
  expect(unwrap(keeper.open(grant))).toBe("unguarded");
});

test("while it is off the kernel is asked once, not for every packet, and anew once rules were changed", () => {
  unwrap(keeper.off());
  const asked = vi.spyOn(firewall, "guardState");
  for (let packet = 0; packet < 5; packet++) expect(unwrap(keeper.open(grant))).toBe("unguarded");
  expect(asked).toHaveBeenCalledTimes(1);
  firewall.damage();
  expect(unwrap(keeper.open(grant))).toBe("confirmed");
  unwrap(keeper.on());
  expect(unwrap(keeper.open(grant))).toBe("confirmed");
});

test("where the wish cannot be taken back it goes off all the same, and nothing restores it before the next start", () => {
  unwrap(keeper.on());
  // As on a disk that is read-only: the wish is there, counts as on, and cannot be removed.
  const file = join(wish.state, "guard");
  rmSync(file);
  mkdirSync(file);
  const why = expect.stringMatching(/guard: off, .* cannot be written: EISDIR, .* next start/) as string;
  expect(keeper.off()).toMatchObject({ ok: false, error: { code: "io", message: why } });
  expect(unwrap(firewall.guardState(plan))).toBe("off");
  firewall.changed();
  expect(unwrap(keeper.state)).toBe("off");
  expect(unwrap(keeper.open(grant))).toBe("unguarded");
  rmdirSync(file);
  unwrap(keeper.on());
  firewall.damage();
  expect(unwrap(keeper.state)).toBe("on");
});

test("a trial whose confirmation cannot be written is a trial still", () => {
  unwrap(keeper.onTrial(60, console));
  const full = err(new TockError("io", "no space left"));
  vi.spyOn(wish, "set").mockReturnValue(full);
  expect(keeper.confirm()).toEqual(full);
  expect(keeper.trialSeconds).toBeGreaterThan(0);
  expect(unwrap(keeper.state)).toBe("on");
  // The rules still end by themselves.
  expect(unwrap(firewall.guardState(plan))).toBe("damaged");
});

test("a trial whose confirmation the firewall refuses is a trial still", () => {
  unwrap(keeper.onTrial(60, console));
  firewall.isStuck = true;
  expect(keeper.confirm()).toMatchObject({ ok: false, error: { code: "firewall" } });
  expect(keeper.trialSeconds).toBeGreaterThan(0);
});

describe("a trial over a guard that is wanted and damaged", () => {
  const gone = err(new TockError("firewall", "this session would not survive"));

  beforeEach(() => {
    unwrap(keeper.on());
    firewall.isStuck = true;
    firewall.damage();
  });

  test("leaves it wanted where the trial cannot be put on", () => {
    expect(keeper.onTrial(60, console).ok).toBe(false);
    expect(wish.read()).toEqual({ kind: "on" });
    firewall.isStuck = false;
    firewall.changed();
    expect(unwrap(firewall.guardState(plan))).toBe("on");
  });

  test("leaves it wanted, and puts it back, where the session would not survive", () => {
    firewall.isStuck = false;
    expect(keeper.onTrial(60, console, () => gone)).toEqual(gone);
    expect(wish.read()).toEqual({ kind: "on" });
    expect(unwrap(firewall.guardState(plan))).toBe("on");
  });
});

test("a trial that the session would not survive takes the guard off again where it was off", () => {
  const gone = err(new TockError("firewall", "this session would not survive"));
  expect(keeper.onTrial(60, console, () => gone)).toEqual(gone);
  expect(wish.read()).toEqual({ kind: "off" });
  expect(unwrap(firewall.guardState(plan))).toBe("off");
});
