import { flipBit, keysOf, NOW, OTHER_SECRET, SECRET, SERVER_ID, STEP, withByte } from "./inputs.ts";
import { aeadSeal, sample, uint } from "./primitives.ts";
import { address16 } from "./requests.ts";

interface AnswerFields {
  readonly result: string;
  readonly rotationDue: boolean;
  readonly lifetime: number;
  readonly serverTime: number;
  readonly source: string;
  readonly sourcePort: number;
}

const RESULTS = [
  "opened",
  "refused",
  "second-factor",
  "expired",
  "rotate-first",
  "firewall-error",
  "closed",
  "rotated",
  "pong",
];

const OPENED: AnswerFields = {
  result: "opened",
  rotationDue: false,
  lifetime: 30,
  serverTime: NOW + 17,
  source: "192.0.2.33",
  sourcePort: 50022,
};

const REQUEST_NONCE = sample("tock vectors: packet nonce: open ssh", 24);
const KEYS = keysOf(SECRET, SERVER_ID, STEP);

function plaintext(fields: AnswerFields): Buffer {
  return Buffer.concat([
    uint(1, 1),
    uint(RESULTS.indexOf(fields.result), 1),
    uint(fields.rotationDue ? 1 : 0, 2),
    uint(fields.lifetime, 2),
    uint(fields.serverTime, 6),
    address16(fields.source),
    uint(fields.sourcePort, 2),
    Buffer.alloc(18),
  ]);
}

/** Replies to the packet named "open ssh". */
export function replies(): object[] {
  const good: [string, AnswerFields][] = [
    ...RESULTS.map((result): [string, AnswerFields] => {
      return [result, { ...OPENED, result, lifetime: result === "opened" ? 30 : 0 }];
    }),
    ["opened for an IPv6 source", { ...OPENED, source: "2001:db8::1:2" }],
    ["opened, rotation is due", { ...OPENED, rotationDue: true }],
    ["opened, largest values", { ...OPENED, lifetime: 65535, serverTime: 2 ** 48 - 1, sourcePort: 65535 }],
  ];
  return [
    ...good.map(([name, fields]) =>
      entry(name, plaintext(fields), seal(name, plaintext(fields)), { answer: fields }),
    ),
    ...badAnswers().map(([name, answer]) => entry(name, answer, seal(name, answer), { drop: "answer" })),
    ...badReplies().map(([name, reply]) => entry(name, null, reply, { drop: "seal" })),
  ];
}

function seal(name: string, answer: Buffer, key = KEYS.ack, aad = REQUEST_NONCE): Buffer {
  const nonce = sample(`tock vectors: reply nonce: ${name}`, 24);
  return Buffer.concat([nonce, aeadSeal(key, nonce, aad, answer)]);
}

function entry(name: string, answer: Buffer | null, reply: Buffer, result: object): object {
  return {
    name,
    secret: SECRET.toString("hex"),
    serverId: SERVER_ID.toString("hex"),
    step: STEP,
    requestNonce: REQUEST_NONCE.toString("hex"),
    plaintext: answer?.toString("hex") ?? null,
    reply: reply.toString("hex"),
    ...result,
  };
}

function badAnswers(): [string, Buffer][] {
  const answer = plaintext(OPENED);
  return [
    ["version 0", withByte(answer, 0, 0)],
    ["version 2", withByte(answer, 0, 2)],
    ["result 9", withByte(answer, 1, 9)],
    ["result 255", withByte(answer, 1, 255)],
    ["flag bit 1", withByte(answer, 3, 2)],
    ["flag bit 15", withByte(answer, 2, 0x80)],
    ["first byte of the padding set", withByte(answer, 30, 1)],
    ["last byte of the padding set", withByte(answer, 47, 1)],
  ];
}

function badReplies(): [string, Buffer][] {
  const answer = plaintext(OPENED);
  const reply = seal("opened", answer);
  return [
    ["nothing", Buffer.alloc(0)],
    ["cut short by one byte", reply.subarray(0, 87)],
    ["longer by one byte", Buffer.concat([reply, Buffer.alloc(1)])],
    ["88 zeros", Buffer.alloc(88)],
    ["first bit of the nonce flipped", flipBit(reply, 0)],
    ["first bit of the ciphertext flipped", flipBit(reply, 192)],
    ["last bit of the MAC flipped", flipBit(reply, 703)],
    ["reply to another packet", seal("another packet", answer, KEYS.ack, sample("another nonce", 24))],
    ["sealed with the key of the packet", seal("packet's key", answer, KEYS.seal)],
    ["from another step", seal("step", answer, keysOf(SECRET, SERVER_ID, STEP + 1).ack)],
    ["to another device", seal("device", answer, keysOf(OTHER_SECRET, SERVER_ID, STEP).ack)],
  ];
}
