import { expect, test } from "vitest";
import { parseSettings } from "../../../server/config/parse.ts";
import { decide, type CodeVerdict } from "../../../server/core/policy.ts";
import { policyOf } from "../../../server/plans.ts";
import type { Request } from "../../../shared/request.ts";
import { parsePort, type UnixMillis } from "../../../shared/brand.ts";
import { unwrap } from "../../../shared/result.ts";
import { address, later, makeDevice, makeRequest, secretFrom, serviceName } from "../../support/core.ts";

/**
 * 50 devices of 10 users, each asking for each service from each place at each time: what is decided is what the
 * configuration says, read a second time by a model that is slow and obvious. It reads the same TOML, and nothing else.
 */

const SERVICES = {
  ssh: { ttl: 30, max: 600, code: false },
  web: { ttl: 60, max: 120, code: false },
  vault: { ttl: 10, max: 20, code: true },
} as const;
type Name = keyof typeof SERVICES;
const NAMES = Object.keys(SERVICES) as Name[];

interface Person {
  readonly services: readonly Name[];
  readonly more?: string;
  readonly from?: readonly string[];
  readonly not?: readonly string[];
  /** First and last hour, in UTC. */
  readonly hours?: readonly [number, number];
  readonly bound?: boolean;
  readonly code?: boolean;
  readonly max?: number;
  readonly connections?: number;
  readonly over?: string;
  readonly off?: boolean;
  readonly claims?: "may" | "must";
}

const HOME = "198.51.100.";
const PEOPLE: Readonly<Record<string, Person>> = {
  ada: { services: NAMES },
  bob: { services: ["ssh"], from: [HOME], max: 45 },
  cleo: { services: ["ssh", "web"], not: [HOME], connections: 2 },
  dan: { services: ["web"], hours: [8, 18] },
  eve: { services: ["ssh", "vault"], code: true },
  finn: { services: NAMES, over: "2026-11-20" },
  gus: { services: NAMES, off: true },
  hal: { services: ["ssh", "web"], bound: true },
  ida: { services: ["ssh"], claims: "may" },
  jo: { services: ["ssh", "vault"], claims: "must", hours: [20, 24] },
};
const PREFIX = "198.51.100.0/24";
const toml = `
[server]
name = "s"
addresses = ["192.0.2.1"]
${NAMES.map((name, at) => `[services.${name}]\nports = ["tcp/${100 + at}"]\nttl = "${SERVICES[name].ttl}s"\nmax_ttl = "${SERVICES[name].max}s"\nsecond_factor = "${SERVICES[name].code ? "required" : "off"}"`).join("\n")}
${Object.entries(PEOPLE)
  .map(([name, person]) =>
    [
      `[users.${name}]`,
      `services = ${JSON.stringify(person.services)}`,
      ...(person.from ? [`networks = ["${PREFIX}"]`] : []),
      ...(person.not ? [`deny = ["${PREFIX}"]`] : []),
      ...(person.hours ? [`hours = ["daily ${two(person.hours[0])}:00-${two(person.hours[1])}:00"]`] : []),
      ...(person.bound ? [`bind = "source-port"`] : []),
      ...(person.code ? [`second_factor = "required"`] : []),
      ...(person.max !== undefined ? [`max_ttl = "${person.max}s"`] : []),
      ...(person.connections !== undefined ? [`connections = ${person.connections}`] : []),
      ...(person.over !== undefined ? [`expires = ${person.over}`] : []),
      ...(person.off ? [`enabled = false`] : []),
      ...(person.claims ? [`address = "${person.claims === "may" ? "claimed" : "claimed-must-match"}"`] : []),
    ].join("\n"),
  )
  .join("\n")}
`;
const settings = parseSettings(toml, "FILE");
if (!settings.ok) throw new Error(settings.error.map(String).join("\n"));
const policy = policyOf(settings.value);

/** Five devices of each: in order, disabled, for web alone, expired at a time, new. */
const KINDS = ["good", "off", "web", "ending", "new"] as const;
type Kind = (typeof KINDS)[number];
const ENDS = Date.UTC(2026, 10, 22, 12, 0, 40) as UnixMillis;

const TIMES = [Date.UTC(2026, 10, 19, 9), Date.UTC(2026, 10, 22, 12), Date.UTC(2026, 10, 22, 23, 59, 50)];
const PLACES = [`${HOME}7`, "203.0.113.9"];
const CODES: readonly CodeVerdict[] = ["ok", "missing"];
const LIFETIMES = [0, 50, 1000];
const PORTS = [undefined, 4000];
const CLAIMS = [undefined, "203.0.113.9"];

interface Asked {
  readonly name: string;
  readonly kind: Kind;
  readonly service: Name;
  readonly at: number;
  readonly place: string;
  readonly code: CodeVerdict;
  readonly lifetime: number;
  readonly port: number | undefined;
  readonly claim: string | undefined;
}

/** The lifetime and the connections that are due, or the rules of which one must be the reason of a refusal. */
function model(ask: Asked): string {
  const person = PEOPLE[ask.name];
  if (person === undefined) return "unknown-user";
  const reasons: string[] = [];
  const ends = [Number.POSITIVE_INFINITY];
  if (person.off) reasons.push("user-disabled");
  if (ask.kind === "off") reasons.push("device-disabled");
  if (person.over !== undefined) {
    ends.push(Date.parse(person.over));
    if (ask.at >= Date.parse(person.over)) reasons.push("user-expired");
  }
  if (ask.kind === "ending") {
    ends.push(ENDS);
    if (ask.at >= ENDS) reasons.push("device-expired");
  }
  const isHome = (place: string): boolean => place.startsWith(HOME);
  const letIn = person.claims === "may" && ask.claim !== undefined ? ask.claim : ask.place;
  for (const place of [ask.place, letIn]) {
    if (person.not && isHome(place)) reasons.push("denied-network");
    if (person.from && !isHome(place)) reasons.push("other-network");
  }
  if (ask.kind === "new") reasons.push("enrolment");
  if (!person.services.includes(ask.service)) reasons.push("user-service");
  if (ask.kind === "web" && ask.service !== "web") reasons.push("device-service");
  if (person.claims === undefined && ask.claim !== undefined && ask.claim !== ask.place)
    reasons.push("address-claimed");
  if (person.claims === "must" && ask.claim === undefined) reasons.push("address-not-claimed");
  if (person.claims === "must" && ask.claim !== undefined && ask.claim !== ask.place)
    reasons.push("address-differs");
  if (person.hours) {
    const hour = new Date(ask.at).getUTCHours();
    if (hour < person.hours[0] || hour >= person.hours[1]) reasons.push("outside-hours");
    ends.push(new Date(ask.at).setUTCHours(person.hours[1], 0, 0, 0));
  }
  if (person.bound && ask.port === undefined) reasons.push("any-port");
  if ((person.code || SERVICES[ask.service].code) && ask.code !== "ok") reasons.push("second-factor-missing");
  if (reasons.length > 0) return reasons[0] ?? "";
  const { ttl, max } = SERVICES[ask.service];
  const wanted = ask.lifetime === 0 ? ttl : ask.lifetime;
  const left = Math.floor((Math.min(...ends) - ask.at) / 1000);
  const lifetime = Math.min(wanted, max, person.max ?? wanted, Math.max(1, left));
  return `${ask.service} ${letIn} ${ask.port ?? "any"} ${lifetime} s ${person.connections ?? 0}`;
}

function decided(ask: Asked): string {
  const now = ask.at as UnixMillis;
  const id = `${ask.name}/${ask.kind}`;
  const device = makeDevice(id, {
    enabled: ask.kind !== "off",
    current: { secret: secretFrom("one"), since: later(now, -1000) },
    enrolling: ask.kind === "new",
    services: ask.kind === "web" ? [serviceName("web")] : undefined,
    expiresAt: ask.kind === "ending" ? ENDS : undefined,
  });
  const request: Request = makeRequest({
    service: serviceName(ask.service),
    lifetime: ask.lifetime,
    fromPort: ask.port === undefined ? undefined : unwrap(parsePort(ask.port)),
    allow: ask.claim === undefined ? undefined : address(ask.claim),
    body: undefined,
  });
  const source = address(ask.place);
  const decision = decide(
    { device, slot: "current", request, source, checkCode: () => ask.code },
    policy,
    now,
  );
  if (decision.kind === "refuse") return decision.rule;
  if (decision.kind !== "grant") return decision.kind;
  const { grant } = decision;
  expect(grant.device).toBe(id);
  return `${grant.service.name} ${grant.source.text} ${grant.sourcePort ?? "any"} ${grant.lifetime} s ${grant.connections}`;
}

test("50 devices of 10 users open exactly what their policy says", () => {
  const seen = new Map<string, number>();
  let asked = 0;
  for (const name of Object.keys(PEOPLE))
    for (const kind of KINDS)
      for (const service of NAMES)
        for (const at of TIMES)
          for (const place of PLACES)
            for (const code of CODES)
              for (const lifetime of LIFETIMES)
                for (const port of PORTS)
                  for (const claim of CLAIMS) {
                    const ask = { name, kind, service, at, place, code, lifetime, port, claim };
                    const expected = model(ask);
                    const got = decided(ask);
                    if (got !== expected) expect({ ...ask, got }).toEqual({ ...ask, got: expected });
                    const key = got.includes(" ") ? "granted" : got;
                    seen.set(key, (seen.get(key) ?? 0) + 1);
                    asked++;
                  }
  expect(asked).toBe(50 * 3 * 3 * 2 * 2 * 3 * 2 * 2);
  // Every rule that this is about came up, and so did grants.
  for (const rule of [
    "granted",
    "user-disabled",
    "device-disabled",
    "user-expired",
    "device-expired",
    "denied-network",
    "other-network",
    "enrolment",
    "user-service",
    "device-service",
    "address-claimed",
    "address-not-claimed",
    "address-differs",
    "outside-hours",
    "any-port",
    "second-factor-missing",
  ]) {
    expect(seen.get(rule) ?? 0, rule).toBeGreaterThan(10);
  }
});

function two(hour: number): string {
  return String(hour).padStart(2, "0");
}
