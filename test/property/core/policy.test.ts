import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Address, Network } from "../../../shared/address.ts";
import { type Seconds, type ServiceName, seconds, type UnixMillis } from "../../../shared/brand.ts";
import type { Slot } from "../../../server/core/device.ts";
import { type CodeVerdict, decide, type Policy } from "../../../server/core/policy.ts";
import {
  address,
  later,
  makeDevice,
  makeRequest,
  makeService,
  makeUser,
  NOW,
  secretFrom,
  serviceName,
} from "../../support/core.ts";

const SERVICES = ["ssh", "db"].map(serviceName);
const NETWORKS = [
  new Network(address("192.0.2.0"), 24),
  new Network(address("192.0.2.1"), 32),
  new Network(address("2001:db8::"), 32),
];
const anAddress = fc.constantFrom("192.0.2.1", "192.0.2.2", "10.0.0.1", "2001:db8::1", "::1").map(address);
/** Mostly what lets the request pass, or else all refusals would be for the first rule. */
function usually<T>(value: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 5, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: other });
}
const instant = usually<UnixMillis | undefined>(
  undefined,
  fc.integer({ min: -3, max: 200 }).map((by) => later(NOW, by * 1000)),
);
const some = <T>(all: readonly T[]) => fc.subarray([...all]);
const mostly = usually(true, fc.constant(false));
const age = fc.integer({ min: 0, max: 100 }).map((by) => later(NOW, -by * 1000));

const device = fc.record({
  enabled: mostly,
  current: age.map((since) => ({ secret: secretFrom("current"), since })),
  next: age.map((since) => ({ secret: secretFrom("next"), since })),
  enrolling: mostly.map((not) => !not),
  isStatic: fc.boolean(),
  services: usually<ServiceName[] | undefined>(undefined, some(SERVICES)),
  expiresAt: instant,
});
const user = fc.record({
  enabled: mostly,
  services: usually([...SERVICES], some(SERVICES)),
  expiresAt: instant,
  networks: usually<Network[]>([], some(NETWORKS)),
  deny: usually<Network[]>([], some(NETWORKS)),
  connections: fc.nat(3),
  address: fc.constantFrom("packet" as const, "claimed" as const, "claimed-must-match" as const),
  maxTtl: fc.option(fc.integer({ min: 1, max: 100 }).map(seconds), { nil: undefined }),
  secondFactor: fc.boolean(),
});
const asked = fc.record({
  type: fc.constantFrom("open" as const, "open" as const, "close" as const),
  service: fc.constantFrom(...SERVICES),
  allow: usually<Address | undefined>(undefined, anAddress),
  lifetime: fc.integer({ min: 0, max: 400 }),
  connections: fc.nat(5),
});
const given = fc.record({
  device,
  user,
  request: asked,
  source: anAddress,
  slot: usually<Slot>("current", fc.constantFrom("next", "retired")),
  code: usually<CodeVerdict>("ok", fc.constantFrom("wrong", "missing", "exhausted")),
  expireAfter: usually<Seconds | undefined>(undefined, fc.integer({ min: 1, max: 120 }).map(seconds)),
});

describe("policy", () => {
  test("grants what every rule allows, and only that", () => {
    const seen = { grant: 0, close: 0, refuse: 0 };
    fc.assert(
      fc.property(given, ({ device, user, request, source, slot, code, expireAfter }) => {
        const policy: Policy = {
          users: new Map([["alice", makeUser(user)]]),
          services: new Map(SERVICES.map((name) => [name, makeService(name)])),
          rotateAfter: undefined,
          expireAfter,
        };
        const ask = {
          device: makeDevice("alice/phone", device),
          slot,
          request: makeRequest(request),
          source,
          checkCode: () => code,
        };
        const decision = decide(ask, policy, NOW);

        // Each rule once more, as the manual has it.
        const letIn = request.allow !== undefined && user.address === "claimed" ? request.allow : source;
        const since = slot === "next" ? device.next.since : device.current.since;
        const isClaimRight = {
          packet: request.allow === undefined || request.allow.equals(source),
          claimed: letIn.equals(source) || letIn.text !== "::1",
          "claimed-must-match": request.allow?.equals(source) === true,
        }[user.address];
        const rules = [
          slot !== "retired",
          user.enabled && device.enabled,
          user.expiresAt === undefined || user.expiresAt > NOW,
          device.expiresAt === undefined || device.expiresAt > NOW,
          expireAfter === undefined || NOW - since < expireAfter * 1000,
          !(device.enrolling && slot === "current"),
          user.services.includes(request.service),
          device.services === undefined || device.services.includes(request.service),
          [source, letIn].every((one) => !user.deny.some((network) => network.contains(one))),
          [source, letIn].every(
            (one) => user.networks.length === 0 || user.networks.some((network) => network.contains(one)),
          ),
          isClaimRight,
          request.type === "close" || !user.secondFactor || code === "ok",
        ];
        if (slot === "retired") {
          expect(decision).toEqual({ kind: "alarm" });
        } else if (rules.includes(false)) {
          expect(decision.kind).toBe("refuse");
          seen.refuse++;
        } else if (request.type === "close") {
          expect(decision).toMatchObject({ kind: "close", service: request.service, source: letIn });
          seen.close++;
        } else {
          if (decision.kind !== "grant") throw new Error(`expected a grant, got ${JSON.stringify(decision)}`);
          const { grant, capped } = decision;
          expect(grant.service.name).toBe(request.service);
          expect(grant.source).toEqual(letIn);
          const wanted = request.lifetime === 0 ? 30 : request.lifetime;
          const caps = [300, user.maxTtl ?? 300, ...[user.expiresAt, device.expiresAt].map(secondsUntil)];
          expect(grant.lifetime).toBe(Math.min(wanted, ...caps));
          expect(capped).toBe(grant.lifetime < wanted);
          const limits = [user.connections, request.connections].filter((limit) => limit > 0);
          expect(grant.connections).toBe(limits.length === 0 ? 0 : Math.min(...limits));
          seen.grant++;
        }
      }),
      { numRuns: 3000 },
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
  });
});

function secondsUntil(end: number | undefined): number {
  return end === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor((end - NOW) / 1000));
}
