import { hex } from "../../../shared/bytes.ts";
import type { TimeStep } from "../../../shared/brand.ts";
import { LABEL_BYTES } from "../../../shared/key-schedule.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { knockSequence } from "../../../shared/knock-sequence.ts";
import { decodeEnrolment } from "../../../shared/enrolment.ts";
import { answerWord } from "../../../shared/answer-word.ts";
import { parseAddress } from "../../../shared/address.ts";
import { decodeRequest } from "../../../shared/request.ts";
import { nextSecret, nextSecretFromRoot } from "../../../shared/rotation.ts";
import { openPacket, openReply, packetNonce, sealPacket } from "../../../shared/seal.ts";
import { Secret } from "../../../shared/secret.ts";
import { decodeStunRequest, decodeStunSuccess } from "../../../shared/stun.ts";
import { derive, importSecret, rotationRootOf, stepKeys } from "../../../client/web/device-key.ts";
import { sequenceOf } from "../../../client/web/knock.ts";

/** Bundled and run inside a browser: every vector of the protocol, by the browser's own keys where the page uses them. */

type Entry = Record<string, string & string[] & Record<string, string>> & { step: number };
type Files = Record<string, Record<string, Entry[]>>;

const bytes = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

async function run(files: Files): Promise<{ checked: number; wrong: string[] }> {
  let checked = 0;
  const wrong: string[] = [];
  const same = (what: string, got: unknown, wanted: unknown): void => {
    checked++;
    if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push(`${what}: ${JSON.stringify(got)}`);
  };
  const all = (file: string, list = "vectors"): Entry[] => files[file]?.[list] ?? [];

  for (const entry of all("key-schedule")) {
    const step = entry.step as TimeStep;
    const [key, id] = [await importSecret(bytes(entry["secret"]!)), bytes(entry["serverId"]!)];
    const keys = await stepKeys(key, id, step);
    same(`${entry["name"]} tag`, hex(keys.tag), entry["tag"]);
    same(`${entry["name"]} seal`, hex(keys.seal), entry["seal"]);
    same(`${entry["name"]} ack`, hex(keys.ack), entry["ack"]);
    same(`${entry["name"]} ice`, keys.ice, entry["icePassword"]);
    for (const [block, words] of Object.entries(entry["knock"]!)) {
      const got = await derive(key, id, "knock", step, Number(block));
      same(`${entry["name"]} knock`, hex(got), words);
      same("length", got.length, LABEL_BYTES.knock);
    }
  }
  for (const entry of all("knock-sequence")) {
    const [secret, id] = [bytes(entry["secret"]!), bytes(entry["serverId"]!)];
    const step = entry.step as TimeStep;
    const shape = {
      first: Number(entry["first"]),
      last: Number(entry["last"]),
      length: Number(entry["length"]),
    };
    const schedule = new KeySchedule(new Secret(secret), id);
    same(
      `${entry["name"]}`,
      knockSequence(shape, (block) => schedule.derive("knock", step, block)),
      entry["ports"],
    );
    const info = { serverId: id, knock: { ...shape, transport: "tcp" } } as Parameters<typeof sequenceOf>[1];
    same(`${entry["name"]} by key`, await sequenceOf(await importSecret(secret), info, step), entry["ports"]);
  }
  for (const entry of all("packets")) {
    const key = await importSecret(bytes(entry["secret"]!));
    const keys = await stepKeys(key, bytes(entry["serverId"]!), entry.step as TimeStep);
    const packet = bytes(entry["packet"]!);
    const isOurs = hex(packet.subarray(0, 8)) === hex(keys.tag);
    const plaintext = isOurs ? openPacket(keys.seal, packet) : undefined;
    const isGood = entry["request"] !== undefined || (entry["drop"] as string) === "time";
    same(`${entry["name"]}`, plaintext !== undefined && decodeRequest(plaintext) !== undefined, isGood);
    if (!isGood || plaintext === undefined) continue;
    same(`${entry["name"]} sealed`, hex(sealPacket(keys, packetNonce(packet), plaintext)), entry["packet"]);
  }
  for (const entry of all("replies")) {
    const key = await importSecret(bytes(entry["secret"]!));
    const { ack } = await stepKeys(key, bytes(entry["serverId"]!), entry.step as TimeStep);
    const plaintext = openReply(ack, bytes(entry["requestNonce"]!), bytes(entry["reply"]!));
    if ((entry["drop"] as string) === "seal") same(`${entry["name"]}`, plaintext, undefined);
    else same(`${entry["name"]}`, plaintext && hex(plaintext), entry["plaintext"]);
  }
  for (const entry of all("stun", "requests")) {
    const decoded = decodeStunRequest(bytes(entry["message"]!));
    same(`${entry["name"]}`, decoded ? hex(decoded.packet) : null, entry["packet"]);
  }
  for (const entry of all("stun", "successes")) {
    const decoded = decodeStunSuccess(
      bytes(entry["message"]!),
      bytes(entry["transactionId"]!),
      entry["icePassword"]!,
    );
    same(`${entry["name"]}`, decoded?.source.text ?? null, entry["source"]);
  }
  for (const entry of all("rotation", "agreed")) {
    const [id, ephemeral] = [bytes(entry["serverId"]!), bytes(entry["ephemeralPublicKey"]!)];
    const root = await rotationRootOf(await importSecret(bytes(entry["secret"]!)), id);
    const server = new Secret(bytes(entry["serverSecretKey"]!));
    const next = nextSecretFromRoot(root, server, ephemeral, ephemeral, id);
    same(`${entry["name"]}`, next && hex(next.expose()), entry["next"]);
  }
  for (const entry of all("rotation", "refused")) {
    const point = bytes(entry["ephemeralPublicKey"]!);
    const given = [entry["secret"]!, entry["serverSecretKey"]!].map((text) => new Secret(bytes(text)));
    same(
      `${entry["name"]}`,
      nextSecret(given[0]!, given[1]!, point, point, bytes(entry["serverId"]!)),
      undefined,
    );
  }
  for (const entry of all("answer-words")) {
    const source = parseAddress(entry["source"]!);
    const answer = { ...entry, source: source.ok ? source.value : undefined } as unknown as Parameters<
      typeof answerWord
    >[0];
    same(`${entry["name"]}`, answerWord(answer, Number(entry["detail"])), entry["word"]);
  }
  for (const entry of all("enrolment")) {
    same(`${entry["name"]}`, decodeEnrolment(entry["link"]!).ok, entry["payload"] !== null);
  }
  for (const entry of all("addresses")) {
    const parsed = parseAddress(entry["text"]!);
    same(`${entry["text"]}`, parsed.ok ? parsed.value.text : null, entry["canonical"]);
  }
  return { checked, wrong };
}

Object.assign(globalThis, { runVectors: run });
