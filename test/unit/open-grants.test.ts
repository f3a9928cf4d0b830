import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { Firewall } from "../../server/core/firewall.ts";
import type { Grant } from "../../server/core/grant.ts";
import { grantOf } from "../../server/core/policy.ts";
import { DryRunFirewall } from "../../server/firewall/dry-run.ts";
import { Ledger } from "../../server/ledger.ts";
import { OpenGrants } from "../../server/open-grants.ts";
import type { DeviceStore } from "../../server/store/device-store.ts";
import { type Port, seconds, type UnixMillis } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { address, deviceId, later, makeService, NOW, serviceName } from "../support/core.ts";
import { newDevice, newStore } from "../support/devices.ts";
import { scratch } from "../support/tockd.ts";

/** Who has what open: by whom it can be closed, and what is left of that after a restart. */

const ssh = makeService();
const HERE = "192.0.2.1";
let folder: string;
let store: DeviceStore;
let firewall: Firewall;
let now: UnixMillis;
let ledger: Ledger;
let grants: OpenGrants;

beforeEach(() => {
  folder = scratch();
  store = newStore(folder);
  now = NOW;
  firewall = new DryRunFirewall({ log: () => undefined, now: () => now });
  unwrap(firewall.guardOn({ services: [ssh], silent: [] }));
  restart();
  onTestFinished(() => {
    ledger.flush();
    store.close();
  });
});

/** The daemon's memory as a new process finds it. */
function restart(): void {
  ledger = new Ledger(
    store.grants,
    () => now,
    () => undefined,
  );
  grants = new OpenGrants(firewall, ledger, () => now);
  unwrap(grants.restore(unwrap(store.grants.all()), [ssh], now));
}

function open(device: string, lifetime = 30, fields: Partial<Grant> = {}): void {
  const grant = grantOf({
    device: deviceId(device),
    service: ssh,
    source: address(HERE),
    lifetime: seconds(lifetime),
    expiresAt: later(now, lifetime * 1000),
    connections: 0,
    prefix: undefined,
    sourcePort: undefined,
    ...fields,
  });
  unwrap(firewall.open(grant));
  grants.add(grant);
}

const close = (device: string, from = HERE) =>
  unwrap(grants.close(deviceId(device), serviceName("ssh"), address(from)));
const held = () =>
  unwrap(firewall.list()).map(({ source, remaining }) => `${source.text} ${remaining / 1000}`);
const owners = () => grants.list().map(({ device }) => device);

describe("closing", () => {
  test("ends what the device opened", () => {
    open("alice/laptop");
    close("alice/laptop");
    expect([held(), owners()]).toEqual([[], []]);
  });

  test("ends what another device of the same user opened there", () => {
    open("alice/laptop");
    close("alice/phone");
    expect(held()).toEqual([]);
  });

  test("leaves what somebody else opened for the same address, and no more time than that has", () => {
    open("bob/phone", 20);
    open("alice/laptop", 300);
    expect(held()).toEqual([`${HERE} 300`]);
    close("alice/laptop");
    expect([held(), owners()]).toEqual([[`${HERE} 20`], ["bob/phone"]]);
  });

  test("of a network is for every address in it, and leaves somebody else's in the same network", () => {
    open("alice/phone", 300, { prefix: 24 });
    open("bob/phone", 20, { prefix: 24, source: address("192.0.2.9") });
    close("alice/phone", "192.0.2.77");
    expect([held(), owners()]).toEqual([["192.0.2.0 20"], ["bob/phone"]]);
    close("bob/phone", "192.0.3.9");
    expect(owners()).toEqual(["bob/phone"]);
    ledger.flush();
    restart();
    expect(grants.list()).toMatchObject([{ prefix: 24, source: address("192.0.2.9") }]);
    close("bob/phone", "192.0.2.1");
    expect(held()).toEqual([]);
  });

  test("by somebody who has nothing open there changes nothing", () => {
    open("bob/phone", 20);
    now = later(now, 5000);
    close("mallory/phone");
    expect([held(), owners()]).toEqual([[`${HERE} 15`], ["bob/phone"]]);
  });

  test("of one of two grants that count connections together keeps the count as it is", () => {
    open("bob/phone", 20, { connections: 1 });
    open("alice/laptop", 300, { connections: 1 });
    const opened = vi.spyOn(firewall, "open");
    close("alice/laptop");
    expect([opened.mock.calls.length, owners()]).toEqual([0, ["bob/phone"]]);
    close("bob/phone");
    expect(held()).toEqual([]);
  });

  test("ends what nobody is known to own", () => {
    open("bob/phone", 20);
    grants = new OpenGrants(firewall, ledger, () => now);
    close("alice/laptop");
    expect(held()).toEqual([]);
  });

  test("a device that is removed loses its own grants alone, even those that its user's other devices have too", () => {
    open("alice/laptop", 300);
    open("alice/phone", 20);
    open("alice/laptop", 300, { source: address("192.0.2.9") });
    grants.closeAll(deviceId("alice/laptop"));
    expect([held(), owners()]).toEqual([[`${HERE} 20`], ["alice/phone"]]);
  });

  test.each([
    ["counted, then any number", { connections: 5 }, {}],
    ["any number, then counted", {}, { connections: 5 }],
    ["a network, then the address", { prefix: 24 }, {}],
  ] as const)("what one device opened twice for an address ends twice: %s", (_, first, second) => {
    for (const isRestarted of [false, true]) {
      open("mallory/phone", 300, first);
      open("mallory/phone", 200, second);
      ledger.flush();
      if (isRestarted) restart();
      grants.closeAll(deviceId("mallory/phone"));
      expect([held(), owners()]).toEqual([[], []]);
      ledger.flush();
      expect(unwrap(store.grants.all())).toEqual([]);
    }
  });
});

describe("after a restart", () => {
  test("owners are known again, with the time that is left", () => {
    open("alice/laptop", 30);
    open("bob/phone", 300, { source: address("2001:db8::9"), connections: 2 });
    ledger.flush();
    now = later(now, 10_000);
    restart();
    expect(grants.list().sort((a, b) => a.lifetime - b.lifetime)).toMatchObject([
      { device: "alice/laptop", lifetime: 20, service: ssh },
      { device: "bob/phone", lifetime: 290, connections: 2, source: address("2001:db8::9") },
    ]);
    expect(grants.closeAll(deviceId("alice/laptop"))).toMatchObject([{ ok: true }]);
    expect(held()).toEqual(["2001:db8::9 290"]);
  });

  test("what was lost with the notes of the last second ends when its owner closes, beside what is known", () => {
    open("alice/laptop", 30, { sourcePort: 4000 as Port });
    ledger.flush();
    grants = new OpenGrants(firewall, { opened: () => undefined, ended: () => undefined }, () => now);
    open("alice/laptop", 300);
    open("alice/laptop", 300, { prefix: 24 });
    restart();
    close("alice/laptop");
    expect(held()).toEqual([]);
  });

  test("a clock that was set back gives nobody more time than the kernel", () => {
    open("alice/laptop", 300);
    ledger.flush();
    unwrap(grants.restore(unwrap(store.grants.all()), [ssh], later(now, -3_600_000)));
    expect(grants.list().map(({ lifetime }) => lifetime)).toEqual([300]);
  });

  test("what the kernel does not hold, what is over and what was closed is not open", () => {
    open("alice/laptop", 30);
    open("bob/phone", 5, { source: address("192.0.2.9") });
    open("bob/pi", 30, { source: address("192.0.2.7") });
    ledger.flush();
    unwrap(firewall.close(serviceName("ssh"), address(HERE)));
    close("bob/pi", "192.0.2.7");
    ledger.flush();
    now = later(now, 6000);
    restart();
    expect(owners()).toEqual([]);
  });

  test("rows of grants that are over go away", () => {
    open("alice/laptop", 5);
    ledger.flush();
    expect(unwrap(store.grants.all())).toHaveLength(1);
    now = later(now, 5000);
    ledger.flush();
    expect(unwrap(store.grants.all())).toEqual([]);
  });
});

describe("the ledger", () => {
  test("writes once a second at most, and what cannot be written is kept", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    unwrap(store.add(newDevice("alice/laptop"), now));
    const events: string[] = [];
    let isFull = true;
    let writes = 0;
    const flaky = {
      note: (...args: Parameters<typeof store.grants.note>) => {
        writes++;
        return isFull ? store.get(deviceId("no/body")) : store.grants.note(...args);
      },
    };
    const slow = new Ledger(
      flaky as never,
      () => now,
      (event) => events.push(event.kind),
    );
    for (let use = 0; use < 100; use++)
      slow.used(deviceId("alice/laptop"), address(`192.0.2.${use}`), later(now, use));
    expect(writes).toBe(0);
    vi.advanceTimersByTime(1000);
    expect([writes, events]).toEqual([1, ["store-error"]]);
    isFull = false;
    slow.flush();
    expect(unwrap(store.get(deviceId("alice/laptop"))).lastUse).toEqual({
      at: later(now, 99),
      source: "192.0.2.99",
    });
  });
});
