import * as fc from "fast-check";
import { expect, test } from "vitest";
import { addEntry, PreparedEntry } from "../../../server/firewall/ipset.ts";
import { newElement, PreparedElement } from "../../../server/firewall/nft-elements.ts";
import { batch } from "../../../server/firewall/nft-message.ts";
import { encode, type Message } from "../../../server/sys/netlink-message.ts";
import { Address } from "../../../shared/address.ts";
import { ok } from "../../../shared/result.ts";

/** What is prepared once and filled in many times is, each time, what is made anew. */

const addresses = {
  4: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Address.v4(bytes)),
  // The first byte keeps it from being an IPv4 address in disguise.
  6: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new Address(bytes.fill(0x20, 0, 1))),
};
const families = [4, 6] as const;

test.each(families)("nft elements, IPv%d", (family) => {
  for (const port of [false, true]) {
    const set = { name: "tock4-ssh", family, port };
    const prepared = new PreparedElement(set, false);
    const alone = new PreparedElement(set, true);
    const uses = fc.tuple(addresses[family], fc.integer({ min: 1, max: 65_535 }), fc.nat(2 ** 43));
    fc.assert(
      fc.property(fc.array(uses, { minLength: 1, maxLength: 5 }), (all) => {
        for (const [index, [source, number, timeout]] of all.entries()) {
          const key = { source, sourcePort: port ? number : undefined };
          const message = newElement(set, key, timeout, undefined);
          for (const [one, messages] of [[prepared, batch(message)] as const, [alone, [message]] as const]) {
            const filled = one.for(key, timeout);
            filled.number(index);
            expect(filled.bytes).toEqual(encode(messages, index));
          }
        }
      }),
    );
  }
});

test.each(families)("ipset entries, IPv%d", (family) => {
  const set = { name: "tock4-ssh", family, port: false, prefix: undefined, counted: false };
  const prepared = new PreparedEntry(set);
  fc.assert(
    fc.property(addresses[family], fc.integer({ min: 1, max: 2_147_483 }), (source, timeout) => {
      const made: Message[] = [];
      const socket = { request: (...messages: Message[]) => (made.push(...messages), ok([])) };
      addEntry(socket, set, { source, timeout }, false);
      const filled = prepared.for(source, timeout);
      filled.number(3);
      expect(filled.bytes).toEqual(encode(made, 3));
    }),
  );
});
