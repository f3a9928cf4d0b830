import { beforeEach, expect, test } from "vitest";
import type { GuardPlan } from "../../../server/core/firewall.ts";
import type { Grant } from "../../../server/core/grant.ts";
import { createFirewall } from "../../../server/firewall/create.ts";
import { parseAddress } from "../../../shared/address.ts";
import { unwrap } from "../../../shared/result.ts";
import { service } from "../../lab/firewall.ts";

const web = service("web", "tcp/80");
const plan: GuardPlan = { services: [web], silent: [] };
const source = unwrap(parseAddress("192.0.2.7"));

let now = 0;
let lines: string[] = [];
let firewall = make();

function make() {
  return unwrap(createFirewall("dry-run", { log: (line) => lines.push(line), now: () => now }));
}

function grant(lifetime: number, extra: Partial<Grant> = {}): Grant {
  return { service: web, source, lifetime, connections: 0, sourcePort: undefined, ...extra } as Grant;
}

beforeEach(() => {
  now = 1_000;
  lines = [];
  firewall = make();
});

test("shows the guard as it was put in, and tells another plan from it", () => {
  expect(unwrap(firewall.guardState(plan))).toBe("off");
  unwrap(firewall.guardOn(plan));
  expect(unwrap(firewall.guardState(plan))).toBe("on");
  expect(unwrap(firewall.guardState({ services: [], silent: [] }))).toBe("damaged");
  unwrap(firewall.guardOff());
  expect(unwrap(firewall.guardState(plan))).toBe("off");
  expect(lines).toEqual(["[dry-run] guard on: web", "[dry-run] guard off"]);
});

test("keeps grants until their time is up, extends them, and never shortens them", () => {
  unwrap(firewall.guardOn(plan));
  unwrap(firewall.open(grant(30)));
  now += 10_000;
  unwrap(firewall.open(grant(5)));
  expect(unwrap(firewall.list())).toMatchObject([{ service: "web", source, remaining: 20_000 }]);
  unwrap(firewall.open(grant(40, { connections: 2 })));
  expect(unwrap(firewall.list())).toMatchObject([{ remaining: 40_000 }]);
  now += 40_000;
  expect(unwrap(firewall.list())).toEqual([]);
});

test("ends the grants of one source, of a service that goes, and all with the guard", () => {
  const other = unwrap(parseAddress("2001:db8::7"));
  unwrap(firewall.guardOn(plan));
  unwrap(firewall.open(grant(30)));
  unwrap(firewall.open(grant(30, { source: other })));
  unwrap(firewall.close(web.name, source));
  expect(unwrap(firewall.list()).map((each) => each.source.text)).toEqual(["2001:db8::7"]);
  unwrap(firewall.guardOn({ services: [], silent: [] }));
  expect(unwrap(firewall.list())).toEqual([]);
});

test("refuses what a real backend would refuse", () => {
  expect(firewall.open(grant(30))).toMatchObject({ ok: false, error: { code: "firewall" } });
});
