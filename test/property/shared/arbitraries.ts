import * as fc from "fast-check";
import { Address } from "../../../shared/address.ts";
import { parseDeviceId, parsePort, parseServiceName, unixMillis } from "../../../shared/brand.ts";
import type { Enrolment } from "../../../shared/enrolment.ts";
import { type Answer, RESULTS } from "../../../shared/reply.ts";
import type { Request } from "../../../shared/request.ts";
import { unwrap } from "../../../shared/result.ts";
import { Secret } from "../../../shared/secret.ts";

/** Values of the protocol, as any client could make them. */

export const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

export const port = fc.integer({ min: 1, max: 65535 }).map((value) => unwrap(parsePort(value)));
export const time = fc.integer({ min: 0, max: 2 ** 48 - 1 }).map(unixMillis);
export const v4 = bytesOf(4).map((bytes) => Address.v4(bytes));
export const v6 = fc
  .oneof(
    bytesOf(16),
    fc.array(fc.constantFrom(0, 0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 }).map(fromWords),
  )
  .map((bytes) => new Address(bytes));
export const address = fc.oneof(v4, v6);

function fromWords(words: number[]): Uint8Array {
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

const name = (first: string, rest: string, most: number): fc.Arbitrary<string> => {
  const tail = fc.array(fc.constantFrom(...rest), { maxLength: most - 1 }).map((list) => list.join(""));
  return fc.tuple(fc.constantFrom(...first), tail).map((parts) => parts.join(""));
};
const ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789";
export const serviceName = name(ALNUM, `${ALNUM}-_`, 16).map((text) => unwrap(parseServiceName(text)));
const namePart = name(ALNUM, `${ALNUM}._-`, 32);

const otp = fc.option(fc.integer({ min: 0, max: 999_999 }), { nil: undefined });
const allow = fc.option(
  address.filter(({ bytes }) => bytes.some((byte) => byte !== 0)),
  { nil: undefined },
);
const common = { replyWanted: fc.boolean(), sentAt: time, otp };
const nothing = fc.constant(undefined);
const zero = fc.constant(0);

export const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({
    ...common,
    type: fc.constant("open" as const),
    allow,
    fromPort: fc.option(port, { nil: undefined }),
    lifetime: fc.integer({ min: 0, max: 65535 }),
    connections: fc.integer({ min: 0, max: 255 }),
    service: serviceName,
    body: nothing,
  }),
  fc.record({
    ...common,
    type: fc.constant("close" as const),
    allow,
    fromPort: nothing,
    lifetime: zero,
    connections: zero,
    service: serviceName,
    body: nothing,
  }),
  fc.record({
    ...common,
    type: fc.constant("rotate" as const),
    allow: nothing,
    fromPort: nothing,
    lifetime: zero,
    connections: zero,
    service: nothing,
    body: bytesOf(32).filter((bytes) => bytes.some((byte) => byte !== 0)),
  }),
  fc.record({
    ...common,
    type: fc.constant("ping" as const),
    allow: nothing,
    fromPort: nothing,
    lifetime: zero,
    connections: zero,
    detail: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }),
    service: nothing,
    body: nothing,
  }),
);

export const answer: fc.Arbitrary<Answer> = fc.record({
  result: fc.constantFrom(...RESULTS),
  rotationDue: fc.boolean(),
  lifetime: fc.integer({ min: 0, max: 65535 }),
  serverTime: time,
  source: address,
  sourcePort: fc.integer({ min: 0, max: 65535 }),
});

const portRange = fc
  .tuple(fc.constantFrom("tcp" as const, "udp" as const), port, port)
  .map(([protocol, a, b]) => ({ protocol, first: a < b ? a : b, last: a < b ? b : a }));

const knock = fc.record({
  first: fc.integer({ min: 1, max: 30_000 }),
  last: fc.integer({ min: 31_023, max: 65_535 }),
  length: fc.integer({ min: 3, max: 8 }),
  transport: fc.constantFrom("tcp" as const, "udp" as const),
});

export const enrolment: fc.Arbitrary<Enrolment> = fc.record({
  serverId: bytesOf(16),
  serverKey: bytesOf(32),
  secret: bytesOf(32).map((bytes) => new Secret(bytes)),
  device: fc.tuple(namePart, namePart).map((parts) => unwrap(parseDeviceId(parts.join("/")))),
  server: name(ALNUM, `${ALNUM}ABC._-`, 63),
  addresses: fc.array(
    fc.oneof(
      address.map(({ text }) => text),
      fc.domain(),
    ),
    { minLength: 1, maxLength: 8 },
  ),
  port,
  knock: fc.option(knock, { nil: undefined }),
  services: fc.array(
    fc.record({ name: serviceName, ports: fc.array(portRange, { minLength: 1, maxLength: 4 }) }),
    {
      minLength: 1,
      maxLength: 8,
    },
  ),
  replies: fc.boolean(),
  isStatic: fc.boolean(),
  secondFactor: fc.boolean(),
  rotateAfter: fc.nat(),
});
