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

let firewall: Stubborn;
let keeper: GuardKeeper;
let events: AuditEvent[];

beforeEach(() => {
  firewall = new Stubborn({ log: () => undefined, now: () => 0 });
  events = [];
  keeper = new GuardKeeper(firewall, plan, new GuardWish(scratch()), (event) => events.push(event));
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
