import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type Address, parseAddress } from "../../shared/address.ts";
import {
  addressDetails,
  answerWord,
  CLOCK_DETAIL,
  readAddress,
  readAnswerWord,
  secondsAhead,
} from "../../shared/answer-word.ts";
import { base64url, hex } from "../../shared/bytes.ts";
import { decodeEnrolment } from "../../shared/enrolment.ts";
import { info, type KeySchedule, LABEL_BYTES, salt } from "../../shared/key-schedule.ts";
import { knockSequence } from "../../shared/knock-sequence.ts";
import { formatPortRange } from "../../shared/port-range.ts";
import { type Answer, decodeAnswer, encodeAnswer } from "../../shared/reply.ts";
import { decodeRequest, encodeRequest, type Request } from "../../shared/request.ts";
import { unwrap } from "../../shared/result.ts";
import { nextSecret, publicKey, rotationRoot } from "../../shared/rotation.ts";
import { openPacket, openReply, packetNonce, sealPacket, sealReply } from "../../shared/seal.ts";
import { Secret } from "../../shared/secret.ts";
import {
  decodeStunRequest,
  decodeStunSuccess,
  encodeStunRequest,
  encodeStunSuccess,
} from "../../shared/stun.ts";
import { stepAt } from "../../shared/time-step.ts";
import { type Origin, originOf, unhex, vectors } from "../support/vectors.ts";

test("the vectors are what scripts/make-vectors.ts makes", () => {
  const script = fileURLToPath(new URL("../../scripts/make-vectors.ts", import.meta.url));
  execFileSync(process.execPath, [script, "--check"], { stdio: ["ignore", "ignore", "inherit"] });
});

describe("key schedule", () => {
  interface Entry extends Origin {
    readonly tag: string;
    readonly seal: string;
    readonly ack: string;
    readonly ice: string;
    readonly icePassword: string;
    readonly knock: Record<string, string>;
  }
  test.for((vectors("key-schedule") as { vectors: Entry[] }).vectors)("$name", (vector) => {
    const { schedule, step } = originOf(vector);
    const keys = schedule.keys(step);
    expect(hex(keys.tag)).toBe(vector.tag);
    expect(hex(schedule.tag(step))).toBe(vector.tag);
    expect(hex(keys.seal)).toBe(vector.seal);
    expect(hex(keys.ack)).toBe(vector.ack);
    expect(hex(schedule.derive("ice", step))).toBe(vector.ice);
    expect(keys.ice).toBe(vector.icePassword);
    for (const [block, words] of Object.entries(vector.knock)) {
      expect(hex(schedule.derive("knock", step, Number(block)))).toBe(words);
    }
  });

  test("what a browser does with a non-extractable key gives the same keys", async () => {
    const [vector] = (vectors("key-schedule") as { vectors: Entry[] }).vectors;
    const { secret, serverId, step } = originOf(vector!);
    const key = await crypto.subtle.importKey("raw", secret.expose().slice(), "HKDF", false, ["deriveBits"]);
    for (const label of ["tag", "seal", "ack", "ice", "knock"] as const) {
      const parameters = {
        name: "HKDF",
        hash: "SHA-256",
        salt: salt(serverId).slice(),
        info: info(label, step).slice(),
      };
      const bits = await crypto.subtle.deriveBits(parameters, key, LABEL_BYTES[label] * 8);
      expect(hex(new Uint8Array(bits))).toBe(label === "knock" ? vector!.knock["0"] : vector![label]);
    }
  });
});

describe("knock sequence", () => {
  interface Entry extends Origin {
    readonly first: number;
    readonly last: number;
    readonly length: number;
    readonly ports: number[];
    readonly blocks: number;
  }
  test.for((vectors("knock-sequence") as { vectors: Entry[] }).vectors)("$name", (vector) => {
    const { schedule, step } = originOf(vector);
    const asked: number[] = [];
    const ports = knockSequence(vector, (block) => {
      asked.push(block);
      return schedule.derive("knock", step, block);
    });
    expect(ports).toEqual(vector.ports);
    expect(asked).toEqual(Array.from({ length: vector.blocks }, (_, block) => block));
  });
});

describe("packets", () => {
  interface Entry extends Origin {
    readonly plaintext: string | null;
    readonly packet: string;
    readonly request?: Record<string, unknown>;
    readonly drop?: string;
  }
  test.for((vectors("packets") as { vectors: Entry[] }).vectors)("$name", (vector) => {
    const { schedule, step } = originOf(vector);
    const keys = schedule.keys(step);
    const packet = unhex(vector.packet);
    const outcome = receive(schedule, step, packet);
    if (vector.request === undefined) {
      expect(outcome).toBe(vector.drop);
      return;
    }
    const request = outcome as Request;
    expect(asVector(request)).toEqual(vector.request);
    expect(hex(encodeRequest(request))).toBe(vector.plaintext);
    expect(hex(sealPacket(keys, packetNonce(packet), encodeRequest(request)))).toBe(vector.packet);
  });

  /** The order of checks that docs/PROTOCOL.md gives, for one device and step. */
  function receive(
    schedule: KeySchedule,
    step: ReturnType<typeof stepAt>,
    packet: Uint8Array,
  ): Request | string {
    if (packet.length !== 144) return "form";
    const { tag, seal } = schedule.keys(step);
    if (hex(packet.subarray(0, 8)) !== hex(tag)) return "tag";
    const plaintext = openPacket(seal, packet);
    if (plaintext === undefined) return "seal";
    const request = decodeRequest(plaintext);
    if (request === undefined) return "request";
    return stepAt(request.sentAt) === step ? request : "time";
  }

  function asVector(request: Request): Record<string, unknown> {
    return {
      ...request,
      otp: request.otp ?? null,
      allow: request.allow?.text ?? null,
      fromPort: request.fromPort ?? null,
      service: request.service ?? null,
      body: request.body === undefined ? null : hex(request.body),
    };
  }

  test("a packet of any other length does not open", () => {
    const [vector] = (vectors("packets") as { vectors: Entry[] }).vectors;
    const { schedule, step } = originOf(vector!);
    const packet = unhex(vector!.packet);
    const longer = new Uint8Array(200);
    longer.set(packet);
    expect(openPacket(schedule.keys(step).seal, packet)).toBeDefined();
    for (let length = 0; length <= longer.length; length++) {
      if (length === packet.length) continue;
      expect(openPacket(schedule.keys(step).seal, longer.subarray(0, length))).toBeUndefined();
    }
  });
});

describe("replies", () => {
  interface Entry extends Origin {
    readonly requestNonce: string;
    readonly plaintext: string | null;
    readonly reply: string;
    readonly answer?: Record<string, unknown>;
    readonly drop?: string;
  }
  test.for((vectors("replies") as { vectors: Entry[] }).vectors)("$name", (vector) => {
    const { schedule, step } = originOf(vector);
    const { ack } = schedule.keys(step);
    const reply = unhex(vector.reply);
    const requestNonce = unhex(vector.requestNonce);
    const plaintext = openReply(ack, requestNonce, reply);
    if (vector.drop === "seal") {
      expect(plaintext).toBeUndefined();
      return;
    }
    expect(hex(plaintext!)).toBe(vector.plaintext);
    const answer = decodeAnswer(plaintext!);
    if (vector.drop === "answer") {
      expect(answer).toBeUndefined();
      return;
    }
    expect({ ...answer, source: answer?.source.text }).toEqual(vector.answer);
    expect(hex(encodeAnswer(answer as Answer))).toBe(vector.plaintext);
    const again = sealReply(ack, reply.subarray(0, 24), requestNonce, encodeAnswer(answer as Answer));
    expect(hex(again)).toBe(vector.reply);
  });
});

describe("STUN form", () => {
  interface RequestEntry {
    readonly name: string;
    readonly message: string;
    readonly transactionId: string | null;
    readonly packet: string | null;
  }
  interface SuccessEntry {
    readonly name: string;
    readonly transactionId: string;
    readonly icePassword: string;
    readonly message: string;
    readonly source: string | null;
    readonly sourcePort: number | null;
  }
  const { requests, successes } = vectors("stun") as { requests: RequestEntry[]; successes: SuccessEntry[] };

  test.for(requests)("request: $name", (vector) => {
    const decoded = decodeStunRequest(unhex(vector.message));
    if (vector.packet === null) {
      expect(decoded).toBeUndefined();
      return;
    }
    expect(hex(decoded!.packet)).toBe(vector.packet);
    expect(hex(decoded!.transactionId)).toBe(vector.transactionId);
  });

  test("the request that tock sends", () => {
    const message = unhex(requests[0]!.message);
    const random = {
      transactionId: message.subarray(8, 20),
      tieBreaker: message.subarray(228, 236),
      localUfrag: "hD4k",
    };
    const encoded = encodeStunRequest(unhex(requests[0]!.packet!), successes[0]!.icePassword, random);
    expect(hex(encoded)).toBe(requests[0]!.message);
  });

  test.for(successes)("success: $name", (vector) => {
    const transactionId = unhex(vector.transactionId);
    const decoded = decodeStunSuccess(unhex(vector.message), transactionId, vector.icePassword);
    if (vector.source === null) {
      expect(decoded).toBeUndefined();
      return;
    }
    expect(decoded!.source.text).toBe(vector.source);
    expect(decoded!.sourcePort).toBe(vector.sourcePort);
    const encoded = encodeStunSuccess(
      transactionId,
      decoded!.source,
      decoded!.sourcePort,
      vector.icePassword,
    );
    expect(hex(encoded)).toBe(vector.message);
  });
});

describe("answer words", () => {
  interface Entry extends Omit<Answer, "source"> {
    readonly name: string;
    readonly source: string;
    readonly detail: number;
    readonly word: number;
  }
  const { vectors: all } = vectors("answer-words") as { vectors: Entry[] };
  const sourceOf = ({ source }: Entry): Address => unwrap(parseAddress(source));

  test.for(all)("$name", (vector) => {
    const answer = { ...vector, rotationDue: false, source: sourceOf(vector), sourcePort: 50022 };
    expect(answerWord(answer, vector.detail)).toBe(vector.word);
    if (vector.detail > 0 && vector.result === "pong") return;
    const lifetime = Math.min(vector.lifetime, 65279);
    expect(readAnswerWord(vector.word)).toEqual({ result: vector.result, lifetime });
  });

  test.for(["192.0.2.33", "2001:db8:ffff::fffe:1:2"])("the address of %s from its pieces", (text) => {
    const pieces = all.filter(({ result, source }) => result === "pong" && source === text);
    const { family } = unwrap(parseAddress(text));
    const words = addressDetails(family).map((detail) => pieces.find((each) => each.detail === detail)!.word);
    expect(readAddress(words, family).text).toBe(text);
  });

  test("the clock", () => {
    const { word, serverTime } = all.find(({ detail }) => detail === CLOCK_DETAIL)!;
    for (const ahead of [0, 1, 20, 300, 16_000, -1, -20, -300, -16_000]) {
      expect(secondsAhead(word, Math.floor(serverTime / 1000) * 1000 - ahead * 1000)).toBe(ahead);
    }
  });

  test("numbers that no result has", () => {
    for (let word = 0xff09; word <= 0xffff; word++) expect(readAnswerWord(word)).toBeUndefined();
  });
});

describe("rotation", () => {
  interface Entry {
    readonly name: string;
    readonly secret: string;
    readonly serverId: string;
    readonly serverSecretKey: string;
    readonly serverPublicKey: string;
    readonly ephemeralSecretKey: string | null;
    readonly ephemeralPublicKey: string;
    readonly root: string;
    readonly next: string;
  }
  const { agreed, refused } = vectors("rotation") as { agreed: Entry[]; refused: Entry[] };
  const secretOf = (text: string): Secret => new Secret(unhex(text));

  test.for(agreed)("$name", (vector) => {
    const ephemeral = unhex(vector.ephemeralPublicKey);
    const serverId = unhex(vector.serverId);
    const serverKey = secretOf(vector.serverSecretKey);
    expect(hex(publicKey(serverKey))).toBe(vector.serverPublicKey);
    expect(hex(rotationRoot(secretOf(vector.secret), serverId).expose())).toBe(vector.root);
    const daemon = nextSecret(secretOf(vector.secret), serverKey, ephemeral, ephemeral, serverId);
    expect(hex(daemon!.expose())).toBe(vector.next);
    if (vector.ephemeralSecretKey === null) return;
    const own = secretOf(vector.ephemeralSecretKey);
    expect(hex(publicKey(own))).toBe(vector.ephemeralPublicKey);
    const client = nextSecret(
      secretOf(vector.secret),
      own,
      unhex(vector.serverPublicKey),
      ephemeral,
      serverId,
    );
    expect(hex(client!.expose())).toBe(vector.next);
  });

  test.for(refused)("small order: $name", (vector) => {
    const point = unhex(vector.ephemeralPublicKey);
    const serverId = unhex(vector.serverId);
    const secret = secretOf(vector.secret);
    expect(nextSecret(secret, secretOf(vector.serverSecretKey), point, point, serverId)).toBeUndefined();
  });

  test.for([0, 31, 33])("a key of %i bytes is refused", (length) => {
    const key = new Uint8Array(length).fill(9);
    expect(
      nextSecret(secretOf(agreed[0]!.secret), secretOf(agreed[0]!.serverSecretKey), key, key, key),
    ).toBeUndefined();
  });
});

describe("enrolment links", () => {
  interface Entry {
    readonly name: string;
    readonly link: string;
    readonly payload: Record<string, unknown> | null;
  }
  test.for((vectors("enrolment") as { vectors: Entry[] }).vectors)("$name", (vector) => {
    const decoded = decodeEnrolment(vector.link);
    if (vector.payload === null) {
      expect(decoded).toMatchObject({ ok: false, error: { code: "invalid" } });
      return;
    }
    if (!decoded.ok) throw decoded.error;
    const { serverId, serverKey, secret, services, knock, ...rest } = decoded.value;
    expect({
      ...rest,
      ...(knock && { knock }),
      serverId: base64url(serverId),
      serverKey: base64url(serverKey),
      secret: base64url(secret.expose()),
      services: services.map(({ name, ports }) => ({ name, ports: ports.map(formatPortRange) })),
    }).toEqual(vector.payload);
  });
});

describe("addresses", () => {
  interface Entry {
    readonly text: string;
    readonly canonical: string | null;
    readonly family: number | null;
    readonly bytes: string | null;
  }
  test.for((vectors("addresses") as { vectors: Entry[] }).vectors)("'$text'", (vector) => {
    const parsed = parseAddress(vector.text);
    if (vector.canonical === null) {
      expect(parsed).toMatchObject({ ok: false, error: { code: "invalid" } });
      return;
    }
    if (!parsed.ok) throw parsed.error;
    expect(parsed.value.text).toBe(vector.canonical);
    expect(parsed.value.family).toBe(vector.family);
    expect(hex(parsed.value.bytes)).toBe(vector.bytes);
  });
});
