import { createHash } from "node:crypto";
import { type Address, parseAddress } from "../../shared/address.ts";
import {
  type DeviceId,
  parseDeviceId,
  parsePort,
  parseServiceName,
  seconds,
  type ServiceName,
  type TimeStep,
  type UnixMillis,
} from "../../shared/brand.ts";
import { concat } from "../../shared/bytes.ts";
import { KeySchedule } from "../../shared/key-schedule.ts";
import { encodeRequest, type Request } from "../../shared/request.ts";
import { unwrap } from "../../shared/result.ts";
import { sealPacket } from "../../shared/seal.ts";
import { Secret } from "../../shared/secret.ts";
import { encodeStunRequest } from "../../shared/stun.ts";
import { stepAt } from "../../shared/time-step.ts";
import type { Device } from "../../server/core/device.ts";
import type { Service } from "../../server/core/grant.ts";
import type { User } from "../../server/core/user.ts";

/** Makers of what the daemon's core works on. Everything that looks random follows from a name. */

export const SERVER_ID = bytesFrom("server", 16);
/** 10 s into a step. */
export const NOW = 1_790_000_020_000 as UnixMillis;
export const SEED = [0x12345678, 0x9abcdef0] as const;

/** `length` bytes that follow from a name. */
export function bytesFrom(name: string, length: number): Uint8Array {
  return Uint8Array.from(createHash("shake256", { outputLength: length }).update(name).digest());
}

export function secretFrom(name: string): Secret {
  return new Secret(bytesFrom(`secret ${name}`, 32));
}

export function deviceId(id: string): DeviceId {
  return unwrap(parseDeviceId(id));
}

export function serviceName(name: string): ServiceName {
  return unwrap(parseServiceName(name));
}

export function address(text: string): Address {
  return unwrap(parseAddress(text));
}

/** A device in good order, whose secret follows from its id. */
export function makeDevice(id = "alice/phone", fields: Partial<Device> = {}): Device {
  return {
    id: deviceId(id),
    enabled: true,
    current: { secret: secretFrom(id), since: 0 as UnixMillis },
    currentUntil: undefined,
    next: undefined,
    nextFromLink: false,
    retired: [],
    enrolling: false,
    isStatic: false,
    services: undefined,
    expiresAt: undefined,
    ...fields,
  };
}

/** A user who may do everything. */
export function makeUser(fields: Partial<User> = {}): User {
  return {
    name: "alice",
    enabled: true,
    services: [serviceName("ssh")],
    expiresAt: undefined,
    networks: [],
    deny: [],
    mayKnock: true,
    hours: undefined,
    bindsPort: false,
    widen: { 4: undefined, 6: undefined },
    connections: 0,
    address: "packet",
    maxTtl: undefined,
    secondFactor: false,
    ...fields,
  };
}

export function makeService(name = "ssh", fields: Partial<Service> = {}): Service {
  const first = unwrap(parsePort(22));
  return {
    name: serviceName(name),
    ports: [{ protocol: "tcp", first, last: first }],
    ttl: seconds(30),
    maxTtl: seconds(300),
    secondFactor: false,
    ...fields,
  };
}

/** A request to open ssh. */
export function makeRequest(fields: Partial<Request> = {}): Request {
  return {
    type: "open",
    replyWanted: true,
    sentAt: NOW,
    otp: undefined,
    allow: undefined,
    fromPort: undefined,
    lifetime: 0,
    connections: 0,
    service: serviceName("ssh"),
    body: undefined,
    ...fields,
  };
}

/** What a client does with a secret. */
export class Sender {
  readonly #schedule: KeySchedule;
  #packets = 0;

  constructor(secret: Secret, serverId = SERVER_ID) {
    this.#schedule = new KeySchedule(secret, serverId);
  }

  tag(step: TimeStep): Uint8Array {
    return this.#schedule.tag(step);
  }

  /** A packet sent at `fields.sentAt`, by the keys of `keysAt` where that is another moment. */
  packet(fields: Partial<Request> = {}, keysAt = fields.sentAt ?? NOW): Uint8Array {
    const nonce = bytesFrom(`nonce ${this.#packets++}`, 24);
    return sealPacket(this.#schedule.keys(stepAt(keysAt)), nonce, encodeRequest(makeRequest(fields)));
  }

  /** A packet in its STUN form. */
  stun(packet: Uint8Array, at = NOW): Uint8Array {
    return encodeStunRequest(packet, this.#schedule.keys(stepAt(at)).ice, {
      transactionId: bytesFrom("transaction", 12),
      tieBreaker: bytesFrom("tie", 8),
      localUfrag: "abcd",
    });
  }
}

/** A payload as it lies in a frame, with other bytes around it. */
export function payloadFrame(payload: Uint8Array, before = 42, after = 7) {
  const bytes = concat(bytesFrom("before", before), payload, bytesFrom("after", after));
  return { bytes, payloadAt: before, payloadLength: payload.length };
}

/** A knock as it lies in a frame. */
export function knockFrame(source: Address, destinationPort: number) {
  return {
    bytes: concat(bytesFrom("before", 12), source.wire()),
    family: source.family,
    sourceAt: 12,
    destinationPort,
  };
}

/** The same instant, so many milliseconds later or earlier. */
export function later(now: UnixMillis, millis: number): UnixMillis {
  return (now + millis) as UnixMillis;
}
