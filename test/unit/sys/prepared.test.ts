import { describe, expect, test } from "vitest";
import { attribute, decode, encode, type Message, NLM_F_ACK } from "../../../server/sys/netlink-message.ts";
import { Prepared } from "../../../server/sys/prepared.ts";

const plain = (type: number, length: number): Message => ({
  type,
  flags: 0,
  body: attribute(1, new Uint8Array(length)),
});
const asking = (type: number, length: number): Message => ({ ...plain(type, length), flags: NLM_F_ACK });

describe("a prepared datagram", () => {
  test("is the messages with the numbers that it is given last", () => {
    const messages = [plain(16, 0), asking(17, 5), plain(18, 3)];
    const prepared = new Prepared(messages);
    prepared.number(7);
    prepared.number(41);
    expect(prepared.bytes).toEqual(encode(messages, 41));
    expect(decode(prepared.bytes).map(({ sequence }) => sequence)).toEqual([41, 42, 43]);
    expect([prepared.count, prepared.asks]).toEqual([3, 1]);
  });

  test("knows where the message that asks ends, without its padding", () => {
    const one = { ...asking(17, 0), body: Uint8Array.of(1, 2, 3, 4, 5) };
    expect(new Prepared([one]).end).toBe(21);
    expect(new Prepared([plain(16, 0), one, plain(18, 0)]).end).toBe(20 + 21);
  });

  test.each([
    ["none", [plain(16, 0)]],
    ["two", [asking(16, 0), asking(17, 0)]],
  ])("of which %s asks for an acknowledgement is refused", (_, messages) => {
    expect(() => new Prepared(messages)).toThrow("expected one message that asks");
  });
});
