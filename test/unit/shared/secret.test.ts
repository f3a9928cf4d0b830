import { type AssertionError, deepStrictEqual } from "node:assert";
import { Console } from "node:console";
import { Writable } from "node:stream";
import { format, inspect } from "node:util";
import { serialize } from "node:v8";
import { Secret as Base32 } from "otpauth";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { err } from "../../../shared/result.ts";
import { constantTimeEqual, Secret } from "../../../shared/secret.ts";

/** 32 bytes of ASCII, so that a leak would show in every encoding at once. */
const TEXT = "VERY-SECRET-KEY-MATERIAL-0123456";
const secret = new Secret(Buffer.from(TEXT));

/** Every way in which text could hold the bytes. */
const forms = [
  TEXT,
  Buffer.from(TEXT).toString("hex"),
  Buffer.from(TEXT).toString("base64").replaceAll("=", ""),
  Buffer.from(TEXT).toString("base64url"),
  new Base32({ buffer: new TextEncoder().encode(TEXT).buffer }).base32,
  [...Buffer.from(TEXT)].join(","),
  [...Buffer.from(TEXT)].join(", "),
  inspect(Buffer.from(TEXT)).slice(8, 60),
];

function leaks(text: string): boolean {
  const flat = text.replaceAll(/\s+/g, " ");
  return forms.some((form) => flat.toLowerCase().includes(form.slice(0, 20).toLowerCase()));
}

function collector(): { stream: Writable; text: () => string } {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return { stream, text: () => chunks.join("") };
}

function printed(...values: unknown[]): string {
  const { stream, text } = collector();
  const console = new Console(stream);
  console.log(...values);
  console.dir(values, { showHidden: true, depth: null });
  console.table(values);
  return text();
}

function logged(value: unknown): string {
  const { stream, text } = collector();
  const logger = pino({ level: "trace" }, stream);
  logger.info(value, "message");
  logger.info({ nested: { value } });
  logger.child({ value: value as object }).warn("child");
  logger.error(Object.assign(new Error("failed"), { value }));
  return text();
}

function assertionText(): string {
  try {
    deepStrictEqual({ secret }, { secret: "other" });
    return "";
  } catch (error) {
    return (error as AssertionError).message;
  }
}

const ways: [string, () => string][] = [
  ["a template", () => `key ${secret as unknown as string}`],
  ["String()", () => String(secret)],
  ["concatenation", () => `a${String(secret)}`],
  ["JSON", () => JSON.stringify({ secret, list: [secret] })],
  ["inspect", () => inspect({ secret }, { depth: null, showHidden: true, getters: true })],
  [
    "inspect without custom methods",
    () => inspect(secret, { customInspect: false, showHidden: true, depth: null }),
  ],
  ["format", () => format("%s %o %O %j", secret, secret, secret, secret)],
  ["console", () => printed(secret, { secret }, [secret], new Map([[secret, secret]]))],
  ["pino", () => logged(secret)],
  ["pino, in an object", () => logged({ secret })],
  ["an error's message", () => new Error(`bad ${secret as unknown as string}`).message],
  ["an error's cause", () => inspect(new Error("bad", { cause: secret }))],
  ["an error in a result", () => inspect(err(Object.assign(new Error("bad"), { secret })), { depth: null })],
  ["an assertion", assertionText],
  ["its own properties", () => JSON.stringify(Object.getOwnPropertyDescriptors(secret))],
  ["its keys and symbols", () => Reflect.ownKeys(secret).map(String).join()],
  ["a spread", () => inspect({ ...secret })],
  ["structuredClone", () => inspect(structuredClone(secret), { showHidden: true })],
  ["v8.serialize", () => serialize(secret).toString("latin1")],
];

describe("a secret does not show itself in", () => {
  test.for(ways)("%s", ([, show]) => {
    expect(leaks(show())).toBe(false);
  });

  test("but its raw bytes would (so these checks can fail)", () => {
    const raw = secret.expose();
    const shown = [
      JSON.stringify(raw),
      inspect(raw),
      printed(raw),
      logged({ raw }),
      serialize(raw).toString("latin1"),
    ];
    expect(shown.filter(leaks).length).toBeGreaterThanOrEqual(3);
    expect(leaks(TEXT)).toBe(true);
  });
});

test("a secret reads [secret] where something is printed", () => {
  expect([String(secret), JSON.stringify(secret), inspect(secret)]).toEqual([
    "[secret]",
    '"[secret]"',
    "[secret]",
  ]);
});

test("a structured clone is no secret any more", () => {
  expect(structuredClone(secret)).not.toBeInstanceOf(Secret);
});

describe("bytes", () => {
  test.for([Uint8Array.of(1, 2, 3), Buffer.from([1, 2, 3])])("are copied in", (bytes) => {
    const own = new Secret(bytes);
    bytes.fill(0);
    expect(own.expose()).toEqual(Uint8Array.of(1, 2, 3));
    expect(own.length).toBe(3);
  });

  test("are gone after wipe", () => {
    const own = new Secret(Uint8Array.of(1, 2, 3));
    const view = own.expose();
    own.wipe();
    expect(view).toEqual(Uint8Array.of(0, 0, 0));
  });

  test.for([
    ["", "", true],
    ["00", "", false],
    ["", "00", false],
    ["0000", "00", false],
    ["0102", "0102", true],
    ["0102", "0103", false],
    ["0102", "8102", false],
    ["010203", "0102", false],
    ["0102", "010203", false],
  ] as const)("'%s' and '%s' are the same: %s", ([a, b, same]) => {
    const [x, y] = [Buffer.from(a, "hex"), Buffer.from(b, "hex")];
    expect(constantTimeEqual(x, y)).toBe(same);
    expect(new Secret(x).equals(new Secret(y))).toBe(same);
  });
});
