import { endianness } from "node:os";
import { array, assert, nat, property, tuple, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  attribute,
  attributesOf,
  be16,
  be32,
  be64,
  decode,
  decodeError,
  encode,
  fromBe,
  fromText,
  NLM_F_ACK,
  nested,
  netfilterAttributes,
  netfilterMessage,
  networkOrder,
  text,
  valueOf,
} from "../../../server/sys/netlink-message.ts";

const little = endianness() === "LE";
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("messages", () => {
  test.runIf(little)("look as the kernel's headers say", () => {
    const message = netfilterMessage(6, 9, { family: 2, flags: NLM_F_ACK }, attribute(1, Uint8Array.of(6)));
    // nlmsghdr: length 28, type 0x0609, REQUEST|ACK, sequence 7, port 0; nfgenmsg; attribute of 5 bytes, padded to 8.
    expect(hex(encode([message], 7))).toBe(
      ["1c000000", "0906", "0500", "07000000", "00000000", "02000000", "0500010006000000"].join(""),
    );
  });

  test.runIf(little)("carry nested attributes and network order by flag bits", () => {
    const bytes = nested(7, networkOrder(6, be32(30)));
    expect(hex(bytes)).toBe("0c000780080006400000001e");
  });

  test("come back as they were sent, one after another", () => {
    assert(
      property(array(tuple(nat(0xffff), uint8Array({ maxLength: 40 })), { maxLength: 5 }), (list) => {
        const messages = list.map(([type, body]) => ({ type, flags: 0, body }));
        const back = decode(encode(messages, 100));
        expect(back.map(({ type, sequence, body }) => [type, sequence, hex(body)])).toEqual(
          list.map(([type, body], index) => [type, 100 + index, hex(body)]),
        );
      }),
    );
  });

  test("and attributes: whatever is cut off or made up ends the list, and nothing throws", () => {
    assert(
      property(uint8Array({ maxLength: 80 }), (junk) => {
        attributesOf(junk);
        for (const message of decode(junk)) netfilterAttributes(message);
      }),
    );
    assert(
      property(array(tuple(nat(0x3fff), uint8Array({ maxLength: 20 }))), (list) => {
        const bytes = Buffer.concat(list.map(([type, value]) => attribute(type, value)));
        expect(attributesOf(bytes).map(([type, value]) => [type, hex(value)])).toEqual(
          list.map(([type, value]) => [type, hex(value)]),
        );
      }),
    );
  });
});

describe("values", () => {
  test("are in network order", () => {
    expect([be16(0x0102), be32(0x01020304), be64(2 ** 40 + 5)].map(hex)).toEqual([
      "0102",
      "01020304",
      "0000010000000005",
    ]);
    expect(fromBe(be64(2 ** 40 + 5))).toBe(2 ** 40 + 5);
    expect(fromBe(undefined)).toBe(0);
    expect(fromText(text("tock4-ssh"))).toBe("tock4-ssh");
    expect(fromText(undefined)).toBe("");
  });

  test("of more than an attribute can hold throw", () => {
    expect(() => attribute(1, new Uint8Array(65_532))).toThrow(RangeError);
    expect(attribute(1, new Uint8Array(65_531)).length).toBe(65_536);
  });

  test("are found by type, the first of them", () => {
    const list = attributesOf(
      Buffer.concat([attribute(1, be16(1)), attribute(2, be16(2)), attribute(2, be16(3))]),
    );
    expect(fromBe(valueOf(list, 2))).toBe(2);
    expect(valueOf(list, 9)).toBeUndefined();
  });
});

describe.runIf(little)("the kernel's answers", () => {
  const answer = (flags: number, body: string) => ({
    type: 2,
    flags,
    sequence: 1,
    body: Buffer.from(body, "hex"),
  });
  const header = "1c000000060905000700000000000000";

  test("confirm", () => {
    expect(decodeError(answer(0x100, `00000000${header}`))).toEqual({ code: 0, words: "" });
  });

  test("refuse, with and without words", () => {
    expect(decodeError(answer(0x100, `ffffffff${header}`))).toEqual({ code: -1, words: "" });
    const words = hex(attribute(1, text("no such set")));
    expect(decodeError(answer(0x300, `feffffff${header}${words}`))).toEqual({
      code: -2,
      words: "no such set",
    });
    const whole = `${header}0200000005000100aabbccdd`;
    expect(decodeError(answer(0x200, `feffffff${whole}${words}`))).toEqual({
      code: -2,
      words: "no such set",
    });
  });

  test("of another form are a refusal", () => {
    expect(decodeError(answer(0, "00")).code).toBeLessThan(0);
  });
});
