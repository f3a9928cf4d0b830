import type { Address, Network } from "../../shared/address.ts";
import {
  type Seconds,
  type ServiceName,
  seconds,
  type UnixMillis,
  unixMillis,
  userOf,
} from "../../shared/brand.ts";
import type { Request } from "../../shared/request.ts";
import type { Decision, Refusal, Rule } from "./decision.ts";
import type { Device, Slot } from "./device.ts";
import type { Grant, Service } from "./grant.ts";
import type { User } from "./user.ts";

/** What came of a second-factor code. */
export type CodeVerdict = "ok" | "missing" | "wrong" | "exhausted";

/** The configuration, as far as decisions need it. */
export interface Policy {
  readonly users: ReadonlyMap<string, User>;
  readonly services: ReadonlyMap<ServiceName, Service>;
  readonly rotateAfter: Seconds | undefined;
  readonly expireAfter: Seconds | undefined;
}

/** An authentic, fresh request, and where it came from. */
export interface Ask {
  readonly device: Device;
  readonly slot: Slot;
  readonly request: Request;
  readonly source: Address;
  /** Checks and uses up the code. Called at most once, and only when everything else is in order. */
  readonly checkCode: (code: number | undefined) => CodeVerdict;
}

type Denied = Refusal | undefined;

/** What is to be done for a request. Deny beats allow; a refusal names the first rule that stands in the way. */
export function decide(ask: Ask, policy: Policy, now: UnixMillis): Decision {
  const { device, slot, request, source } = ask;
  if (slot === "retired") return { kind: "alarm" };
  const user = policy.users.get(userOf(device.id));
  if (user === undefined) return refuse("unknown-user");
  const denied = standing(ask, user, policy, now) ?? networkAllows(user, source);
  if (denied !== undefined) return denied;

  if (request.type === "rotate") return rotate(device, request);
  if (isEnrolling(device, slot)) return refuse("enrolment");
  const rotationDue = !device.isStatic && !device.nextFromLink && isOlder(ask, policy.rotateAfter, now);
  if (request.type === "ping") return { kind: "pong", rotationDue };

  const service = serviceFor(request.service, user, device, policy);
  if ("kind" in service) return service;
  const allowed = addressFor(ask, user);
  if ("kind" in allowed) return allowed;
  if (request.type === "close") return { kind: "close", service: service.name, source: allowed, rotationDue };
  const end = user.hours?.endsAt(now);
  if (user.hours !== undefined && end === undefined) return refuse("outside-hours");
  if (user.bindsPort && request.fromPort === undefined) return refuse("any-port");
  const asksCode = user.secondFactor || service.secondFactor;
  const code = asksCode ? codeAllows(ask.checkCode(request.otp)) : undefined;
  return code ?? { kind: "grant", ...terms(ask, user, service, allowed, now, end), rotationDue };
}

/**
 * What is to be done for a completed knock sequence: it names no service, so each of the device's services gets its own
 * decision, in the order of the user's list. A knock carries no code: with a second factor it is refused.
 */
export function decideKnock(
  knock: Omit<Ask, "request" | "checkCode">,
  policy: Policy,
  now: UnixMillis,
): Decision[] {
  const user = policy.users.get(userOf(knock.device.id));
  if (user !== undefined && !user.mayKnock && knock.slot !== "retired") return [refuse("may-not-knock")];
  const services = (user?.services ?? []).filter((name) => knock.device.services?.includes(name) ?? true);
  const decisions = services.map((service) =>
    decide({ ...knock, request: knockRequest(service, now), checkCode: () => "missing" }, policy, now),
  );
  return decisions.length > 0 ? decisions : [refuse(user === undefined ? "unknown-user" : "user-service")];
}

/** The only maker of grants. */
export function grantOf(terms: Omit<Grant, Extract<keyof Grant, symbol>>): Grant {
  return Object.freeze({ ...terms }) as Grant;
}

/** Whether user, device and secret are in force. */
function standing({ device, slot }: Ask, user: User, policy: Policy, now: UnixMillis): Denied {
  if (!user.enabled) return refuse("user-disabled");
  if (!device.enabled) return refuse("device-disabled");
  if (user.expiresAt !== undefined && now >= user.expiresAt) return refuse("user-expired");
  if (device.expiresAt !== undefined && now >= device.expiresAt) return refuse("device-expired");
  const isOver = slot === "current" && device.currentUntil !== undefined && now >= device.currentUntil;
  return isOver || isOlder({ device, slot }, policy.expireAfter, now) ? refuse("secret-expired") : undefined;
}

function isOlder(
  { device, slot }: Pick<Ask, "device" | "slot">,
  age: Seconds | undefined,
  now: UnixMillis,
): boolean {
  const since = slot === "next" ? device.next?.since : device.current.since;
  return age !== undefined && since !== undefined && now - since >= age * 1000;
}

function rotate(device: Device, request: Request): Decision {
  if (device.isStatic) return refuse("static");
  return { kind: "rotate", ephemeral: request.body ?? new Uint8Array(32) };
}

function isEnrolling(device: Device, slot: Slot): boolean {
  return slot === "next" ? device.nextFromLink : device.enrolling;
}

function serviceFor(
  name: ServiceName | undefined,
  user: User,
  device: Device,
  policy: Policy,
): Service | Refusal {
  const service = name === undefined ? undefined : policy.services.get(name);
  if (service === undefined) return refuse("unknown-service");
  if (!user.services.includes(service.name)) return refuse("user-service");
  if (device.services?.includes(service.name) === false) return refuse("device-service");
  return service;
}

function networkAllows(user: User, address: Address): Denied {
  const inside = (networks: readonly Network[]) => networks.some((network) => network.contains(address));
  if (inside(user.deny)) return refuse("denied-network");
  return user.networks.length === 0 || inside(user.networks) ? undefined : refuse("other-network");
}

/** The address to let in, or to close. */
function addressFor({ request, source }: Ask, user: User): Address | Refusal {
  const claimed = request.allow;
  const differs = claimed !== undefined && !claimed.equals(source);
  switch (user.address) {
    case "packet":
      return differs ? refuse("address-claimed") : source;
    case "claimed-must-match":
      if (claimed === undefined) return refuse("address-not-claimed");
      return differs ? refuse("address-differs") : source;
    case "claimed":
      if (!differs) return source;
      return isOneMachine(claimed) ? (networkAllows(user, claimed) ?? claimed) : refuse("address-unusable");
  }
}

/** Not unspecified, loopback, multicast, broadcast or reserved (RFC 6890, RFC 4291 §2.4). */
function isOneMachine(address: Address): boolean {
  const wire = address.wire();
  const first = wire[0] ?? 0;
  if (address.family === 4) return first !== 0 && first !== 127 && first < 224;
  return first !== 0xff && wire.subarray(0, 15).some((byte) => byte !== 0);
}

function codeAllows(verdict: CodeVerdict): Denied {
  return verdict === "ok" ? undefined : refuse(`second-factor-${verdict}`);
}

/** `hoursEnd`: when the user's hours are over. */
function terms(
  ask: Ask,
  user: User,
  service: Service,
  source: Address,
  now: UnixMillis,
  hoursEnd: UnixMillis | undefined,
) {
  const { device, request } = ask;
  const asked = request.lifetime === 0 ? service.ttl : request.lifetime;
  const ends = Math.min(
    user.expiresAt ?? Number.POSITIVE_INFINITY,
    device.expiresAt ?? Number.POSITIVE_INFINITY,
    hoursEnd ?? Number.POSITIVE_INFINITY,
  );
  const most = Math.min(
    service.maxTtl,
    user.maxTtl ?? service.maxTtl,
    Math.max(1, Math.floor((ends - now) / 1000)),
  );
  const lifetime = seconds(Math.min(asked, most));
  const grant = grantOf({
    device: device.id,
    service,
    source,
    // A port of one machine means nothing for its neighbours.
    prefix: request.fromPort === undefined ? user.widen[source.family] : undefined,
    lifetime,
    expiresAt: unixMillis(now + lifetime * 1000),
    connections: fewer(user.connections, request.connections),
    sourcePort: request.fromPort,
  });
  return { grant, capped: lifetime < asked };
}

/** The smaller of two limits, where 0 is no limit. */
function fewer(a: number, b: number): number {
  return a === 0 || b === 0 ? a + b : Math.min(a, b);
}

function refuse(rule: Rule): Refusal {
  return { kind: "refuse", rule, result: resultOf(rule) };
}

function resultOf(rule: Rule): Refusal["result"] {
  switch (rule) {
    case "user-expired":
    case "device-expired":
    case "secret-expired":
      return "expired";
    case "enrolment":
      return "rotate-first";
    case "second-factor-missing":
    case "second-factor-wrong":
    case "second-factor-exhausted":
      return "second-factor";
    case "unknown-user":
    case "unknown-service":
    case "user-disabled":
    case "device-disabled":
    case "static":
    case "user-service":
    case "device-service":
    case "denied-network":
    case "other-network":
    case "address-claimed":
    case "address-not-claimed":
    case "address-differs":
    case "address-unusable":
    case "may-not-knock":
    case "outside-hours":
    case "any-port":
      return "refused";
  }
}

function knockRequest(service: ServiceName, now: UnixMillis): Request {
  return {
    type: "open",
    replyWanted: false,
    sentAt: now,
    otp: undefined,
    allow: undefined,
    fromPort: undefined,
    lifetime: 0,
    connections: 0,
    service,
    body: undefined,
  };
}
