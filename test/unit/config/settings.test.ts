import * as fc from "fast-check";
import { stringify } from "smol-toml";
import { describe, expect, test } from "vitest";
import { formatSettings } from "../../../server/config/format-settings.ts";
import { parseSettings } from "../../../server/config/parse.ts";
import type { Settings } from "../../../server/config/settings.ts";

const SMALL = `[server]\nname = "s"\naddresses = ["203.0.113.7"]\n[services.ssh]\nports = ["tcp/22"]\n`;

function settings(text: string): Settings {
  const result = parseSettings(text, "FILE");
  if (!result.ok) throw new Error(result.error.map(({ message }) => message).join("\n"));
  return result.value;
}

describe("what a file means", () => {
  test("the smallest one, with every default", () => {
    expect(settings(SMALL)).toEqual({
      server: {
        name: "s",
        addresses: ["203.0.113.7"],
        port: 62201,
        state: "/var/lib/tock",
        socket: "/run/tock/tockd.sock",
        user: "tock",
        reply: "authenticated",
        engine: "packets",
      },
      skew: { past: 1, future: 1 },
      knock: { first: 10000, last: 32767, length: 4, transport: "tcp" },
      firewall: { backend: "iptables", allow: [] },
      services: [
        {
          name: "ssh",
          ports: [{ protocol: "tcp", first: 22, last: 22 }],
          ttl: 30,
          maxTtl: 600,
          secondFactor: false,
        },
      ],
      users: [],
      metrics: { listen: undefined },
      hooks: {
        onGrant: undefined,
        onClose: undefined,
        onAlarm: undefined,
        user: "nobody",
        timeout: 10,
      },
      rotation: { rotateAfter: 2_592_000, expireAfter: undefined },
    });
  });

  test("a user who says nothing but services", () => {
    expect(settings(`${SMALL}[users.alice]\nservices = ["ssh"]\n`).users).toEqual([
      {
        name: "alice",
        enabled: true,
        services: ["ssh"],
        expiresAt: undefined,
        networks: [],
        deny: [],
        mayKnock: false,
        hours: undefined,
        connections: 0,
        address: "packet",
        widen: { 4: undefined, 6: undefined },
        bindsPort: false,
        maxTtl: undefined,
        secondFactor: false,
      },
    ]);
  });

  test("a user who says everything", () => {
    const text = `${SMALL}[users."j.doe"]\nservices = ["ssh"]\nenabled = false\nexpires = 2027-06-30\nknock = true
networks = ["192.0.2.0/24", "2001:db8::1"]\ndeny = ["192.0.2.66"]\nconnections = 3
hours = ["mon-fri 08:00-18:00"]\ntimezone = "Europe/Berlin"\nbind = "source-port"\nwiden = { ipv6 = 56 }
address = "claimed"\nmax_ttl = "1m"\nsecond_factor = "required"\n`;
    const [user] = settings(text).users;
    expect(user).toMatchObject({
      name: "j.doe",
      enabled: false,
      expiresAt: Date.UTC(2027, 5, 30),
      mayKnock: true,
      connections: 3,
      address: "claimed",
      maxTtl: 60,
      secondFactor: true,
      bindsPort: true,
      widen: { 4: undefined, 6: 56 },
      hours: { timezone: "Europe/Berlin", texts: ["mon-fri 08:00-18:00"] },
    });
    expect(user?.hours?.windows).toHaveLength(5);
    expect(user?.networks.map(String)).toEqual(["192.0.2.0/24", "2001:db8::1/128"]);
    expect(user?.deny.map(String)).toEqual(["192.0.2.66/32"]);
  });

  test.each([
    ["ttl alone raises the cap above its default", 'ttl = "2h"', 7200, 7200],
    ["ttl below the default cap leaves it", 'ttl = "5m"', 300, 600],
    ["a cap of its own", 'ttl = "5m"\nmax_ttl = "18h"', 300, 64_800],
  ])("lifetimes: %s", (_name, lines, ttl, maxTtl) => {
    expect(settings(`${SMALL}${lines}\n`).services[0]).toMatchObject({ ttl, maxTtl });
  });

  test("rotation can be turned off, and given an end", () => {
    const text = `${SMALL}[rotation]\nrotate_after = "never"\nexpire_after = "90d"\n`;
    expect(settings(text).rotation).toEqual({ rotateAfter: undefined, expireAfter: 7_776_000 });
  });

  test("a port inside the knock range is in order while nobody may knock", () => {
    const text = `[server]\nname = "s"\naddresses = ["203.0.113.7"]\nport = 20000\n[knock]\ntransport = "both"
[services.game]\nports = ["tcp/25565", "udp/25565"]\n[users.alice]\nservices = ["game"]\n`;
    expect(settings(text).services[0]?.ports).toHaveLength(2);
    expect(parseSettings(`${text}knock = true\n`, "FILE").ok).toBe(false);
  });

  test("an SPA port inside the knock range is in order while knocks are TCP", () => {
    const text = `${SMALL.replace("[services", "port = 20000\n[services")}[users.a]\nservices = ["ssh"]\nknock = true\n`;
    expect(settings(text).server.port).toBe(20000);
  });
});

describe("limits", () => {
  const services = (count: number) =>
    Array.from({ length: count }, (_, n) => `[services.s${n}]\nports = ["tcp/${n + 1}"]\n`).join("");
  const users = (count: number) =>
    Array.from({ length: count }, (_, n) => `[users.u${n}]\nservices = ["ssh"]\n`).join("");
  const SERVER = SMALL.slice(0, SMALL.indexOf("[services"));

  test("64 services, and no more", () => {
    expect(settings(SERVER + services(64)).services).toHaveLength(64);
    expect(parseSettings(SERVER + services(65), "FILE")).toMatchObject({
      ok: false,
      error: [{ message: "FILE:4:1: services: expected at most 64 tables, got 65" }],
    });
  });

  test("10,000 users, and no more", () => {
    expect(settings(SMALL + users(10_000)).users).toHaveLength(10_000);
    expect(parseSettings(SMALL + users(10_001), "FILE")).toMatchObject({
      ok: false,
      error: [{ message: "FILE:6:1: users: expected at most 10000 tables, got 10001" }],
    });
  });
});

// Documents of every kind of valid value; services take disjoint ports below the knock range.
const duration = fc
  .tuple(fc.integer({ min: 1, max: 59 }), fc.constantFrom("s", "m", "h"))
  .map(([n, unit]) => `${n}${unit}`);
const shortTtl = fc.integer({ min: 1, max: 600 }).map((n) => `${n}s`);
const network = fc.oneof(
  fc.tuple(fc.nat(255), fc.integer({ min: 8, max: 24 })).map(([a]) => `${a}.0.0.0/8`),
  fc.nat(0xffff).map((word) => `2001:db8:${word.toString(16)}::/48`),
  fc.ipV4(),
  fc.ipV6(),
);
const optional = <T>(name: string, value: fc.Arbitrary<T>) =>
  fc.option(
    value.map((v) => ({ [name]: v })),
    { nil: {} },
  );
const merged = (...parts: fc.Arbitrary<object>[]) =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as object);

const user = merged(
  fc.constant({ services: ["s0"] }),
  optional("enabled", fc.boolean()),
  optional("expires", fc.date({ min: new Date(0), max: new Date(2e14), noInvalidDate: true })),
  optional("networks", fc.array(network, { maxLength: 4 })),
  optional("deny", fc.array(network, { maxLength: 4 })),
  optional("knock", fc.boolean()),
  optional(
    "hours",
    fc.subarray(["mon-fri 08:00-18:00", "fri 22:00-06:00", "daily 00:00-24:00"], { minLength: 1 }),
  ),
  optional("timezone", fc.constantFrom("UTC", "Europe/Berlin")),
  optional(
    "widen",
    fc.record(
      { ipv4: fc.integer({ min: 16, max: 31 }), ipv6: fc.integer({ min: 32, max: 127 }) },
      { requiredKeys: [] },
    ),
  ),
  optional("bind", fc.constantFrom("any", "source-port")),
  optional("connections", fc.nat(255)),
  optional("address", fc.constantFrom("packet", "claimed", "claimed-must-match")),
  optional("max_ttl", shortTtl),
  optional("second_factor", fc.constantFrom("required", "off")),
);
const service = (index: number) =>
  merged(
    fc.tuple(fc.constantFrom("tcp", "udp"), fc.nat(9)).map(([protocol, more]) => ({
      ports: [`${protocol}/${1000 + index * 10}-${1000 + index * 10 + more}`],
    })),
    optional("ttl", shortTtl),
    optional("max_ttl", fc.constantFrom("10m", "18h")),
    optional("second_factor", fc.constantFrom("required", "off")),
    optional("forward", fc.oneof(fc.boolean(), fc.array(network, { minLength: 1, maxLength: 4 }))),
  );
const document = fc.record({
  server: merged(
    fc.constant({ name: "s", addresses: ["203.0.113.7", "host.example"] }),
    optional("port", fc.integer({ min: 40000, max: 65535 })),
    optional("reply", fc.constantFrom("authenticated", "never")),
    optional("state", fc.stringMatching(/^\/[ -~é]{1,40}$/)),
  ),
  clock: merged(optional("past", fc.nat(4)), optional("future", fc.nat(4))),
  knock: merged(
    optional("length", fc.integer({ min: 4, max: 8 })),
    optional("transport", fc.constantFrom("tcp", "udp", "both")),
  ),
  firewall: merged(
    optional("backend", fc.constantFrom("iptables", "nftables", "dry-run")),
    optional("allow", fc.array(network, { maxLength: 4 })),
  ),
  rotation: merged(optional("rotate_after", fc.oneof(duration, fc.constant("never")))),
  services: fc
    .tuple(service(0), service(1), fc.constantFrom("tcp/10.1.2.3:22", ["tcp/10.1.2.3:22", "tcp/[fd00::3]:1"]))
    .map(([s0, s1, to]) => ({ s0, s1, s2: { ports: ["tcp/2222"], to } })),
  users: fc.dictionary(fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,31}$/), user, { maxKeys: 4 }),
});

test("what tockd config prints means the same settings again", () => {
  fc.assert(
    fc.property(document, (document) => {
      const first = settings(stringify(document));
      expect(settings(formatSettings(first))).toEqual(first);
    }),
    { numRuns: 300 },
  );
});
