import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serveAdmin } from "../../../server/admin/server.ts";
import { ok, unwrap } from "../../../shared/result.ts";
import { mutate } from "../../fuzz/mutate.ts";
import { Random } from "../../fuzz/random.ts";
import { scratch } from "../../support/tockd.ts";

/** A socket for those who may only look is spoken to by programs that want more. */

async function serve(): Promise<{ path: string; calls: unknown[] }> {
  const path = join(scratch(), "view.sock");
  const calls: unknown[] = [];
  const server = unwrap(
    await serveAdmin(
      path,
      {},
      {
        grants: (params) => {
          calls.push(params);
          return ok([]);
        },
      },
    ),
  );
  onTestFinished(() => void server.close());
  return { path, calls };
}

/** Sends bytes and gives all that comes back until the other side ends. */
async function say(path: string, bytes: Uint8Array | string): Promise<string> {
  const socket = connect(path);
  let answer = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => (answer += text));
  socket.on("error", () => undefined);
  socket.write(bytes);
  socket.write("\n");
  await once(socket, "close");
  return answer;
}

/** What every object has, and is no method of the daemon's. */
const INHERITED = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "__defineGetter__"];

test.each(INHERITED)("the method %s is none", async (method) => {
  const { path } = await serve();
  const answer = await say(path, JSON.stringify({ method, params: { ok: true, value: "mine" } }));
  expect(JSON.parse(answer)).toEqual({
    error: { code: "permission", message: `"${method}" is not for this socket` },
  });
});

test("whatever is said, one line comes back at most, and the next caller is served", async () => {
  const { path, calls } = await serve();
  const random = new Random(11);
  const base = Buffer.from(JSON.stringify({ method: "grants", params: { since: 1 } }));
  const words = ["__proto__", "method", "null", "[[[[", "\u0000", "\n", '"'].map((word) => Buffer.from(word));
  const lines: (Uint8Array | string)[] = [
    "",
    "null",
    "[]",
    "1",
    '"grants"',
    "[".repeat(60_000),
    "x".repeat(70_000),
  ];
  for (let index = 0; index < 300; index++) lines.push(mutate(base, base, words, random));
  for (const line of lines) {
    const answer = await say(path, line);
    expect(
      answer.split("\n").filter(Boolean).length,
      Buffer.from(line).toString("latin1").slice(0, 80),
    ).toBeLessThan(2);
    expect(answer).not.toMatch(/\n\s+at /);
  }
  const before = calls.length;
  expect(JSON.parse(await say(path, base))).toEqual({ value: [] });
  expect(calls.length).toBe(before + 1);
});
