import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  ANSWER_BYTES,
  DEFAULT_SKEW,
  DEFAULT_SPA_PORT,
  KNOCK_BLOCKED,
  KNOCK_DEFAULTS,
  KNOCK_MIN_SPAN,
  MAX_SKEW,
  PACKET_BYTES,
  REPLY_BYTES,
  REQUEST_BYTES,
  STEP_MILLIS,
} from "../../shared/constants.ts";
import { LABEL_BYTES } from "../../shared/key-schedule.ts";
import { RESULTS } from "../../shared/reply.ts";
import { REQUEST_TYPES } from "../../shared/request.ts";
import { STUN_MAX_BYTES, STUN_MIN_BYTES, UFRAG_CHARACTERS } from "../../shared/stun.ts";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const document = read("docs/PROTOCOL.md");
const section = (title: string): string => document.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
const vectors = readdirSync(new URL("../vectors/", import.meta.url))
  .map((name) => read(`test/vectors/${name}`))
  .join("");

describe("docs/PROTOCOL.md", () => {
  const hexadecimal = section("Worked example").match(/\b[0-9a-f]{16,}\b/g) ?? [];

  test("its worked example has numbers", () => {
    expect(hexadecimal.length).toBeGreaterThan(25);
  });

  test.for(
    hexadecimal.filter((digits) => digits !== "000000000382db80" && digits !== "746167000000000382db80"),
  )("its worked example's %s is in the vectors", (digits) => {
    expect(vectors).toContain(digits);
  });

  test("its example's knock sequence is the vectors'", () => {
    const entry = (JSON.parse(read("test/vectors/knock-sequence.json")) as { vectors: { ports: number[] }[] })
      .vectors[0];
    const ports = [...section("Worked example").matchAll(/mod 22768 = +\d+ +(\d+)$/gm)].map(([, port]) =>
      Number(port),
    );
    expect(ports).toEqual(entry?.ports);
  });

  test("it gives every label with its length", () => {
    const table = [...section("Key schedule").matchAll(/^\| `(\w+)` \| (\d+) \|/gm)];
    expect(Object.fromEntries(table.map(([, label, length]) => [label, Number(length)]))).toEqual(
      LABEL_BYTES,
    );
  });

  test("it gives every result its number", () => {
    const table = [...section("Reply").matchAll(/^\| (\d) \| ([a-z ]+) \|/gm)];
    const named = table.filter(([, , name]) => name !== "version");
    expect(named.map(([, number, name]) => [Number(number), name?.replaceAll(" ", "-")])).toEqual(
      RESULTS.map((result, number) => [number, result]),
    );
  });

  test("it gives every type its number", () => {
    const header = /^\| offset \| bytes \| field \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$/m.exec(document);
    const numbers = /^\| 1 \| 1 \| type \| (\d) \| (\d) \| (\d) \| (\d) \|$/m.exec(document);
    expect(header?.slice(1)).toEqual([...REQUEST_TYPES]);
    expect(numbers?.slice(1).map(Number)).toEqual([1, 2, 3, 4]);
  });

  test.for([
    ["packet", /Exactly (\d+) bytes in one UDP datagram/, PACKET_BYTES],
    ["request", /### Request: the (\d+) bytes inside/, REQUEST_BYTES],
    ["reply", /the reply has (\d+) bytes/, REPLY_BYTES],
    ["answer", /\| 24 \| (\d+) \| ciphertext of the answer/, ANSWER_BYTES],
    ["step", /unix milliseconds \/ (\d+)\)/, STEP_MILLIS],
    ["port", /SPA port of the server \((\d+)/, DEFAULT_SPA_PORT],
    ["most skew", /0 to (\d) steps on each side/, MAX_SKEW],
    ["STUN, least", /The datagram has (\d+) to/, STUN_MIN_BYTES],
    ["STUN, most", /The datagram has 28 to (\d+) bytes/, STUN_MAX_BYTES],
    ["ufrag", /base64 of the 144 bytes, (\d+) characters/, UFRAG_CHARACTERS],
    ["least span", /at least (\d+) ports/, KNOCK_MIN_SPAN],
    ["first knock port", /by default (\d+) to 32767/, KNOCK_DEFAULTS.first],
    ["last knock port", /by default 10000 to (\d+)/, KNOCK_DEFAULTS.last],
    ["knock length", /3 to 8, by default (\d)/, KNOCK_DEFAULTS.length],
    ["blocked port", /skip it if port = (\d+)/, [...KNOCK_BLOCKED][0] ?? 0],
  ] as const)("it has the code's number for: %s", ([, pattern, value]) => {
    expect(Number(pattern.exec(document)?.[1])).toBe(value);
  });

  test("its default window is one step each way", () => {
    expect(document).toContain("by default the one before, the current and the next one");
    expect(DEFAULT_SKEW).toBe(1);
    expect(KNOCK_BLOCKED.size).toBe(1);
  });
});
