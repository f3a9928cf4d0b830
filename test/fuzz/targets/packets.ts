import { decide, type Policy } from "../../../server/core/policy.ts";
import { DeviceTable } from "../../../server/core/device-table.ts";
import type { Device, Slot } from "../../../server/core/device.ts";
import type { Grant } from "../../../server/core/grant.ts";
import { Verifier } from "../../../server/core/verify.ts";
import { parseNetwork } from "../../../shared/address.ts";
import { parsePort, type UnixMillis, userOf } from "../../../shared/brand.ts";
import { ascii, hex } from "../../../shared/bytes.ts";
import { PACKET_BYTES } from "../../../shared/constants.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { decodeRequest, encodeRequest, type Request } from "../../../shared/request.ts";
import { unwrap } from "../../../shared/result.ts";
import { sealPacket } from "../../../shared/seal.ts";
import { encodeStunRequest } from "../../../shared/stun.ts";
import { stepAt } from "../../../shared/time-step.ts";
import {
  address,
  bytesFrom,
  makeDevice,
  makeRequest,
  makeService,
  makeUser,
  NOW,
  payloadFrame,
  SEED,
  secretFrom,
  Sender,
  SERVER_ID,
  serviceName,
} from "../../support/core.ts";
import type { Target } from "../loop.ts";
import { GateWorld } from "./gate-world.ts";

/** SPA packets in both forms: what a stranger can send, and what a device's own key can say. */

const sender = new Sender(secretFrom("alice/phone"));
const honest = [
  sender.packet(),
  sender.packet({ type: "ping", service: undefined }),
  sender.packet({ sentAt: (NOW - 30_000) as UnixMillis }),
];
const known = new Set(honest.map(hex));
const devices = new DeviceTable({
  serverId: SERVER_ID,
  skew: { past: 1, future: 1 },
  knock: undefined,
  seed: SEED,
});
devices.put(makeDevice(), false);
devices.advance(NOW);
while (devices.work(100) > 0);
const verifier = new Verifier(devices);

/** Nothing is authentic but what the device made, byte for byte; the STUN form may differ around the packet only. */
function payloadTarget(input: Uint8Array): void {
  const verdict = verifier.verify(payloadFrame(input, 2, 2), NOW);
  if (verdict.kind === "drop") return;
  if (verdict.form === "spa" && !known.has(hex(input))) throw new Error("forged");
  if (verdict.form === "stun" && !known.has(hex(honest[0]!))) throw new Error("forged");
  if (![...known].some((packet) => packet.startsWith(hex(verdict.id)))) throw new Error("forged nonce");
}

const services = [makeService("ssh"), makeService("web")];
const users = [
  makeUser({ name: "alice" }),
  makeUser({
    name: "bob",
    address: "claimed",
    maxTtl: undefined,
    deny: [unwrap(parseNetwork("198.51.100.0/24"))],
  }),
  makeUser({ name: "carol", address: "claimed-must-match", connections: 3, bindsPort: true }),
  makeUser({ name: "dave", secondFactor: true, networks: [unwrap(parseNetwork("192.0.2.0/24"))] }),
];
const policy: Policy = {
  users: new Map(users.map((user) => [user.name, user])),
  services: new Map(services.map((service) => [service.name, service])),
  rotateAfter: undefined,
  expireAfter: undefined,
};
const SOURCES = ["192.0.2.7", "198.51.100.9", "2001:db8::7"].map(address);

/** First byte: who asks and how; then the 96 bytes of a request. What decodes has one encoding, and a grant keeps the rules. */
function requestTarget(input: Uint8Array): void {
  const who = input[0] ?? 0;
  const bytes = input.subarray(1);
  const request = decodeRequest(bytes);
  if (request === undefined) return;
  if (hex(encodeRequest(request)) !== hex(bytes)) throw new Error("more than one encoding");
  const user = users[who & 3]!;
  const device = makeDevice(`${user.name}/phone`, {
    enabled: (who & 4) === 0,
    enrolling: (who & 8) !== 0,
    isStatic: (who & 16) !== 0,
  });
  const slot: Slot = (who & 32) === 0 ? "current" : "retired";
  const source = SOURCES[(who >> 6) % SOURCES.length]!;
  const checkCode = (code: number | undefined) => (code === 123_456 ? "ok" : "wrong");
  const decision = decide({ device, slot, request, source, checkCode }, policy, NOW);
  if (decision.kind === "grant") check(decision.grant, { device, slot, request, source });
  else if (decision.kind === "rotate" && (device.isStatic || slot === "retired")) throw new Error("rotated");
}

interface Asked {
  readonly device: Device;
  readonly slot: Slot;
  readonly request: Request;
  readonly source: (typeof SOURCES)[number];
}

/** The rules, said once more in the plainest way. */
function check(grant: Grant, { device, slot, request, source }: Asked): void {
  const user = policy.users.get(userOf(device.id))!;
  const fail = (why: string): never => {
    throw new Error(`granted although ${why}`);
  };
  if (slot === "retired" || device.enrolling || !device.enabled) fail("the device may not");
  if (request.type !== "open" || grant.service.name !== "ssh" || request.service !== "ssh") fail("not ssh");
  if (grant.lifetime < 1 || grant.lifetime > grant.service.maxTtl) fail("it lasts too long");
  if (request.lifetime > 0 && grant.lifetime > request.lifetime) fail("less was asked for");
  if (!grant.source.equals(source) && user.name !== "bob") fail("the address is another one");
  if (grant.source.text.startsWith("198.51.100.") && user.name === "bob") fail("the network is denied");
  if (!source.text.startsWith("192.0.2.") && user.name === "dave") fail("the network is not allowed");
  if (user.name === "carol" && (grant.connections === 0 || grant.connections > 3)) fail("of connections");
  if (user.name === "carol" && grant.sourcePort === undefined) fail("any port may connect");
  if (user.name === "dave" && request.otp !== 123_456) fail("of the code");
}

const world = new GateWorld();
const keys = new KeySchedule(secretFrom("alice/phone"), SERVER_ID).keys(stepAt(NOW));

/**
 * Behind the AEAD: byte 0 picks source, form and whether the journal fails, byte 1 the nonce, then a request that is
 * sealed with valid keys and sent twice, then from elsewhere. It opens once at most, and never unjournalled.
 */
function sealedTarget(input: Uint8Array): void {
  const [how = 0, nonce = 0] = input;
  const request = new Uint8Array(96);
  request.set(input.subarray(2, 98));
  const packet = sealPacket(keys, bytesFrom(`nonce ${nonce}`, 24), request);
  const random = { transactionId: bytesFrom("t", 12), tieBreaker: bytesFrom("b", 8), localUfrag: "abcd" };
  const payload = (how & 1) === 0 ? packet : encodeStunRequest(packet, keys.ice, random);
  world.reset({ isJournalBroken: (how & 2) !== 0, isFirewallBroken: (how & 4) !== 0 });
  world.send(payload, SOURCES[0]!);
  const after = world.state();
  world.send(payload, SOURCES[0]!);
  world.send(payload, SOURCES[1]!);
  if (world.state().opened !== after.opened) throw new Error("one packet opened twice");
  const { opened, journalled, confirmed } = world.state();
  if (opened > confirmed || opened > journalled) throw new Error("opened without journal or kernel");
  if ((how & 6) !== 0 && opened > 0) throw new Error("opened though something failed");
  if (opened > 0 && decodeRequest(request)?.type !== "open") throw new Error("opened unasked");
}

const requests = [
  makeRequest(),
  makeRequest({ type: "close" }),
  makeRequest({ type: "ping", service: undefined, detail: 3 }),
  makeRequest({ type: "rotate", service: undefined, body: bytesFrom("ephemeral", 32) }),
  makeRequest({
    allow: address("192.0.2.7"),
    lifetime: 9,
    connections: 2,
    fromPort: unwrap(parsePort(4000)),
    otp: 123_456,
  }),
  makeRequest({ allow: address("2001:db8::7"), service: serviceName("web") }),
].map(encodeRequest);
const withHead = (...head: number[]): Uint8Array[] =>
  requests.map((request) => Uint8Array.from([...head, ...request]));
const WORDS = [
  ascii("ssh"),
  ascii("web"),
  address("127.0.0.1").bytes,
  address("198.51.100.1").bytes,
  ascii("tock"),
];

export const PACKET_TARGETS: readonly Target[] = [
  {
    name: "packet",
    seeds: [...honest, sender.stun(honest[0]!), sender.stun(honest[1]!), new Uint8Array(PACKET_BYTES)],
    words: [sender.tag(stepAt(NOW)), honest[0]!, ascii(":")],
    run: payloadTarget,
  },
  { name: "request", seeds: [0, 1, 2, 3].flatMap((who) => withHead(who)), words: WORDS, run: requestTarget },
  { name: "sealed", seeds: [0, 1, 2, 4].flatMap((how) => withHead(how, 7)), words: WORDS, run: sealedTarget },
];
