import { describe, expect, test } from "vitest";
import { Network } from "../../../shared/address.ts";
import { parsePort, seconds, type UnixMillis } from "../../../shared/brand.ts";
import type { Request } from "../../../shared/request.ts";
import { unwrap } from "../../../shared/result.ts";
import type { Decision } from "../../../server/core/decision.ts";
import type { Device, Slot } from "../../../server/core/device.ts";
import type { Service } from "../../../server/core/grant.ts";
import { type CodeVerdict, decide, decideKnock, type Policy } from "../../../server/core/policy.ts";
import type { User } from "../../../server/core/user.ts";
import { hoursOf } from "../../../server/config/hours.ts";
import type { Hours } from "../../../server/core/hours.ts";
import {
  address,
  bytesFrom,
  later,
  makeDevice,
  makeRequest,
  makeService,
  makeUser,
  NOW,
  secretFrom,
  serviceName,
} from "../../support/core.ts";

const HERE = "192.0.2.1";
const network = (text: string, prefix: number) => new Network(address(text), prefix);
const past = later(NOW, -1);

interface Case {
  device?: Partial<Device>;
  user?: Partial<User> | null;
  services?: Service[];
  request?: Partial<Request>;
  slot?: Slot;
  source?: string;
  code?: CodeVerdict;
  rotateAfter?: number;
  expireAfter?: number;
}

function policyOf({ user = {}, services = [makeService()], rotateAfter, expireAfter }: Case): Policy {
  return {
    users: new Map(user === null ? [] : [["alice", makeUser(user)]]),
    services: new Map(services.map((service) => [service.name, service])),
    rotateAfter: rotateAfter === undefined ? undefined : seconds(rotateAfter),
    expireAfter: expireAfter === undefined ? undefined : seconds(expireAfter),
  };
}

/** A secret of today, so that it has no age. */
const today = { secret: secretFrom("alice/phone"), since: NOW };

function ask(given: Case, now: UnixMillis = NOW): Decision {
  return decide(
    {
      device: makeDevice("alice/phone", { current: today, ...given.device }),
      slot: given.slot ?? "current",
      request: makeRequest(given.request),
      source: address(given.source ?? HERE),
      checkCode: () => given.code ?? "missing",
    },
    policyOf(given),
    now,
  );
}

const rule = (given: Case): string => {
  const decision = ask(given);
  return decision.kind === "refuse" ? `${decision.result}: ${decision.rule}` : decision.kind;
};

/** Hours of one Monday in UTC; NOW is Monday 2026-09-21, 14:13:40. */
function monday(times: string): Hours | undefined {
  return hoursOf([`mon ${times}`], "UTC");
}

const rotation: Partial<Request> = { type: "rotate", service: undefined, body: bytesFrom("ephemeral", 32) };
const ping: Partial<Request> = { type: "ping", service: undefined };
const close: Partial<Request> = { type: "close" };
const old = { secret: secretFrom("alice/phone"), since: later(NOW, -100_000) };
const v6 = "2001:db8::1";

describe("what is refused, and by which rule", () => {
  test.each<[string, Case, string]>([
    ["all in order", {}, "grant"],
    ["a user that the configuration does not have", { user: null }, "refused: unknown-user"],
    ["a disabled user", { user: { enabled: false } }, "refused: user-disabled"],
    ["a disabled device", { device: { enabled: false } }, "refused: device-disabled"],
    ["an expired user", { user: { expiresAt: past } }, "expired: user-expired"],
    ["a user who expires now", { user: { expiresAt: NOW } }, "expired: user-expired"],
    ["a user who expires later", { user: { expiresAt: later(NOW, 1) } }, "grant"],
    ["an expired device", { device: { expiresAt: NOW } }, "expired: device-expired"],
    ["an old secret", { device: { current: old }, expireAfter: 100 }, "expired: secret-expired"],
    ["a secret not quite as old", { device: { current: old }, expireAfter: 101 }, "grant"],
    [
      "an old secret that wants to rotate",
      { device: { current: old }, expireAfter: 100, request: rotation },
      "expired: secret-expired",
    ],
    [
      "a new secret beside an old one",
      { device: { current: old, next: today }, slot: "next", expireAfter: 100 },
      "grant",
    ],
    [
      "an old static secret",
      { device: { current: old, isStatic: true }, expireAfter: 100 },
      "expired: secret-expired",
    ],
    ["an enrolment secret that opens", { device: { enrolling: true } }, "rotate-first: enrolment"],
    [
      "an enrolment secret that pings",
      { device: { enrolling: true }, request: ping },
      "rotate-first: enrolment",
    ],
    [
      "an enrolment secret that closes",
      { device: { enrolling: true }, request: close },
      "rotate-first: enrolment",
    ],
    ["an enrolment secret that rotates", { device: { enrolling: true }, request: rotation }, "rotate"],
    [
      "the secret that follows an enrolment's",
      { device: { enrolling: true, next: today }, slot: "next" },
      "grant",
    ],
    ["a static secret that rotates", { device: { isStatic: true }, request: rotation }, "refused: static"],
    ["a static secret that opens", { device: { isStatic: true } }, "grant"],
    [
      "a service that the configuration does not have",
      { request: { service: serviceName("db") } },
      "refused: unknown-service",
    ],
    ["a service that is not the user's", { user: { services: [] } }, "refused: user-service"],
    ["a service that is not the device's", { device: { services: [] } }, "refused: device-service"],
    [
      "a service of the device that is not the user's",
      { user: { services: [] }, device: { services: [serviceName("ssh")] } },
      "refused: user-service",
    ],
    [
      "closing a service that is not the user's",
      { user: { services: [] }, request: close },
      "refused: user-service",
    ],
    ["an address in an allowed network", { user: { networks: [network("192.0.2.0", 24)] } }, "grant"],
    [
      "an address in no allowed network",
      { user: { networks: [network("10.0.0.0", 8)] } },
      "refused: other-network",
    ],
    [
      "an address of the other family than allowed",
      { user: { networks: [network("192.0.2.0", 24)] }, source: v6 },
      "refused: other-network",
    ],
    [
      "an address in a denied network",
      { user: { deny: [network("192.0.2.0", 24)] } },
      "refused: denied-network",
    ],
    [
      "deny beats allow",
      { user: { networks: [network("192.0.2.1", 32)], deny: [network("192.0.2.0", 24)] } },
      "refused: denied-network",
    ],
    [
      "rotation from a denied network",
      { user: { deny: [network("192.0.2.0", 24)] }, request: rotation },
      "refused: denied-network",
    ],
    [
      "a ping from a denied network",
      { user: { deny: [network("192.0.2.0", 24)] }, request: ping },
      "refused: denied-network",
    ],
    ["packet: no claim", { user: { address: "packet" } }, "grant"],
    [
      "packet: a claim of its own address",
      { user: { address: "packet" }, request: { allow: address(HERE) } },
      "grant",
    ],
    [
      "packet: a claim of another address",
      { user: { address: "packet" }, request: { allow: address(v6) } },
      "refused: address-claimed",
    ],
    [
      "packet: closing for another address",
      { user: { address: "packet" }, request: { ...close, allow: address(v6) } },
      "refused: address-claimed",
    ],
    ["must match: no claim", { user: { address: "claimed-must-match" } }, "refused: address-not-claimed"],
    [
      "must match: the same",
      { user: { address: "claimed-must-match" }, request: { allow: address(HERE) } },
      "grant",
    ],
    [
      "must match: another",
      { user: { address: "claimed-must-match" }, request: { allow: address(v6) } },
      "refused: address-differs",
    ],
    ["claimed: no claim", { user: { address: "claimed" } }, "grant"],
    ["claimed: another address", { user: { address: "claimed" }, request: { allow: address(v6) } }, "grant"],
    [
      "claimed: an address in a denied network",
      { user: { address: "claimed", deny: [network("2001:db8::", 32)] }, request: { allow: address(v6) } },
      "refused: denied-network",
    ],
    [
      "claimed: an address in no allowed network",
      { user: { address: "claimed", networks: [network("192.0.2.0", 24)] }, request: { allow: address(v6) } },
      "refused: other-network",
    ],
    ...["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "ff02::1"].map(
      (claim): [string, Case, string] => [
        `claimed: ${claim}`,
        { user: { address: "claimed" }, request: { allow: address(claim) } },
        "refused: address-unusable",
      ],
    ),
    [
      "claimed: a link-local address",
      { user: { address: "claimed" }, request: { allow: address("fe80::1") } },
      "grant",
    ],
    ["no second factor wanted", { code: "wrong" }, "grant"],
    ["the right code", { user: { secondFactor: true }, code: "ok" }, "grant"],
    ["no code", { user: { secondFactor: true }, code: "missing" }, "second-factor: second-factor-missing"],
    ["a wrong code", { user: { secondFactor: true }, code: "wrong" }, "second-factor: second-factor-wrong"],
    [
      "too many wrong codes",
      { user: { secondFactor: true }, code: "exhausted" },
      "second-factor: second-factor-exhausted",
    ],
    ["closing without a code", { user: { secondFactor: true }, request: close }, "close"],
    ["rotating without a code", { user: { secondFactor: true }, request: rotation }, "rotate"],
    [
      "no code, where the service asks for one",
      { services: [makeService("ssh", { secondFactor: true })] },
      "second-factor: second-factor-missing",
    ],
    [
      "the right code, where the service asks for one",
      { services: [makeService("ssh", { secondFactor: true })], code: "ok" },
      "grant",
    ],
    ["within the user's hours", { user: { hours: monday("14:00-15:00") } }, "grant"],
    ["outside of the user's hours", { user: { hours: monday("15:00-16:00") } }, "refused: outside-hours"],
    ["closing outside of them", { user: { hours: monday("15:00-16:00") }, request: close }, "close"],
    ["rotating outside of them", { user: { hours: monday("15:00-16:00") }, request: rotation }, "rotate"],
    ["any source port, where one must be named", { user: { bindsPort: true } }, "refused: any-port"],
    [
      "a source port, where one must be named",
      { user: { bindsPort: true }, request: { fromPort: unwrap(parsePort(5000)) } },
      "grant",
    ],
    ["a ping", { request: ping }, "pong"],
    ["a retired secret", { slot: "retired" }, "alarm"],
    ["a retired secret of a user who is gone", { slot: "retired", user: null }, "alarm"],
    ["a retired secret that rotates", { slot: "retired", request: rotation }, "alarm"],
  ])("%s", (_, given, expected) => {
    expect(rule(given)).toBe(expected);
  });

  test("the code is looked at last, and only where it counts: nobody spends one on a refusal", () => {
    let looks = 0;
    const look = (given: Case) => {
      decide(
        {
          device: makeDevice("alice/phone", { current: today, ...given.device }),
          slot: "current",
          request: makeRequest({ otp: 123_456, ...given.request }),
          source: address(HERE),
          checkCode: (code) => {
            expect(code).toBe(123_456);
            looks++;
            return "ok";
          },
        },
        policyOf({ ...given, user: { secondFactor: true, ...given.user } }),
        NOW,
      );
    };
    look({ user: { services: [] } });
    look({ user: { networks: [network("10.0.0.0", 8)] } });
    look({ request: { allow: address(v6) } });
    look({ request: ping });
    look({ request: close });
    expect(looks).toBe(0);
    look({});
    expect(looks).toBe(1);
  });
});

describe("what is granted", () => {
  const grantOf = (given: Case) => {
    const decision = ask(given);
    if (decision.kind !== "grant") throw new Error(`refused: ${JSON.stringify(decision)}`);
    return decision;
  };

  test("the service, to the packet's source, for the service's time", () => {
    const { grant, capped, rotationDue } = grantOf({});
    expect(grant).toMatchObject({
      device: "alice/phone",
      service: makeService(),
      source: { text: HERE },
      lifetime: 30,
      expiresAt: NOW + 30_000,
      connections: 0,
      sourcePort: undefined,
    });
    expect([capped, rotationDue]).toEqual([false, false]);
  });

  test.each<[string, Case, number, boolean]>([
    ["what was asked for", { request: { lifetime: 90 } }, 90, false],
    ["just the most", { request: { lifetime: 300 } }, 300, false],
    ["no more than the service's most", { request: { lifetime: 301 } }, 300, true],
    ["no more than the user's most", { request: { lifetime: 90 }, user: { maxTtl: seconds(60) } }, 60, true],
    ["no more than both", { request: { lifetime: 400 }, user: { maxTtl: seconds(3600) } }, 300, true],
    ["the user's most, where the service's own time is more", { user: { maxTtl: seconds(10) } }, 10, true],
    ["until the user expires", { user: { expiresAt: later(NOW, 20_999) } }, 20, true],
    ["until the device expires", { device: { expiresAt: later(NOW, 20_999) } }, 20, true],
    ["until the user's hours are over", { user: { hours: monday("14:00-14:14") } }, 20, true],
    ["a second at least", { user: { expiresAt: later(NOW, 1) } }, 1, true],
  ])("for %s", (_, given, lifetime, isCapped) => {
    const { grant, capped } = grantOf(given);
    expect([grant.lifetime, grant.expiresAt, capped]).toEqual([lifetime, NOW + lifetime * 1000, isCapped]);
  });

  test.each([
    [0, 0, 0],
    [0, 3, 3],
    [3, 0, 3],
    [3, 5, 3],
    [5, 3, 3],
  ])("%i connections by policy and %i asked for make %i", (ours, asked, made) => {
    expect(grantOf({ user: { connections: ours }, request: { connections: asked } }).grant.connections).toBe(
      made,
    );
  });

  test("only from the port that was asked for", () => {
    const fromPort = unwrap(parsePort(5000));
    expect(grantOf({ request: { fromPort } }).grant.sourcePort).toBe(fromPort);
  });

  test.each<[string, Case, number | undefined]>([
    ["a network where it is widened", { user: { widen: { 4: 24, 6: 64 } } }, 24],
    ["of the address's own family", { user: { widen: { 4: 24, 6: 64 } }, source: v6 }, 64],
    ["an address alone where it is not", { user: { widen: { 4: undefined, 6: 64 } } }, undefined],
    [
      "an address alone where a port is named",
      { user: { widen: { 4: 24, 6: 64 } }, request: { fromPort: unwrap(parsePort(5000)) } },
      undefined,
    ],
  ])("for %s", (_, given, prefix) => {
    const { grant } = grantOf(given);
    expect([grant.source.text, grant.prefix]).toEqual([given.source ?? HERE, prefix]);
  });

  test("to the claimed address, where that is the rule", () => {
    const { grant } = grantOf({ user: { address: "claimed" }, request: { allow: address(v6) } });
    expect(grant.source.text).toBe(v6);
  });

  test("closing is for the same address that opening would be", () => {
    const closing = ask({ user: { address: "claimed" }, request: { ...close, allow: address(v6) } });
    expect(closing).toMatchObject({ kind: "close", service: "ssh", source: { text: v6 } });
    expect(ask({ request: close })).toMatchObject({ kind: "close", source: { text: HERE } });
  });

  test.each<[string, Case, boolean]>([
    ["a new secret", { rotateAfter: 100 }, false],
    ["an old one", { rotateAfter: 100, device: { current: old } }, true],
    ["an old one that never rotates", { rotateAfter: 100, device: { current: old, isStatic: true } }, false],
    ["an old one where nothing is said", { device: { current: old } }, false],
    [
      "a new one in the place of an old one",
      { rotateAfter: 100, device: { current: old, next: today }, slot: "next" },
      false,
    ],
  ])("rotation is due, or not: %s", (_, given, due) => {
    expect(ask(given)).toMatchObject({ rotationDue: due });
    expect(ask({ ...given, request: ping })).toMatchObject({ kind: "pong", rotationDue: due });
    expect(ask({ ...given, request: close })).toMatchObject({ kind: "close", rotationDue: due });
  });

  test("rotation takes the device's ephemeral key", () => {
    expect(ask({ request: rotation })).toEqual({ kind: "rotate", ephemeral: bytesFrom("ephemeral", 32) });
  });
});

describe("a knock sequence", () => {
  const db = makeService("db", { ttl: seconds(60) });
  const knock = (given: Case) =>
    decideKnock(
      {
        device: makeDevice("alice/phone", { current: today, ...given.device }),
        slot: given.slot ?? "current",
        source: address(HERE),
      },
      policyOf({ services: [makeService(), db], ...given }),
      NOW,
    ).map((decision) =>
      decision.kind === "grant"
        ? `${decision.grant.service.name} ${decision.grant.lifetime}`
        : decision.kind === "refuse"
          ? decision.rule
          : decision.kind,
    );

  test.each<[string, Case, string[]]>([
    [
      "opens each of the user's services",
      { user: { services: [serviceName("db"), serviceName("ssh")] } },
      ["db 60", "ssh 30"],
    ],
    [
      "only those that are the device's",
      {
        user: { services: [serviceName("db"), serviceName("ssh")] },
        device: { services: [serviceName("ssh")] },
      },
      ["ssh 30"],
    ],
    ["none of a user who may not knock", { user: { mayKnock: false } }, ["may-not-knock"]],
    ["none of a user who is gone", { user: null }, ["unknown-user"]],
    ["none of a user without services", { user: { services: [] } }, ["user-service"]],
    ["none with a second factor", { user: { secondFactor: true } }, ["second-factor-missing"]],
    ["none where a source port must be named", { user: { bindsPort: true } }, ["any-port"]],
    ["none outside of the user's hours", { user: { hours: monday("15:00-16:00") } }, ["outside-hours"]],
    [
      "none where an address must be claimed",
      { user: { address: "claimed-must-match" } },
      ["address-not-claimed"],
    ],
    ["none by an enrolment secret", { device: { enrolling: true } }, ["enrolment"]],
    ["none by an old secret", { device: { current: old }, expireAfter: 100 }, ["secret-expired"]],
    ["none from a denied network", { user: { deny: [network("192.0.2.0", 24)] } }, ["denied-network"]],
  ])("%s", (_, given, expected) => {
    expect(knock(given)).toEqual(expected);
  });
});
