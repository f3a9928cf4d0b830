import { expect, test } from "vitest";
import { dumpElements, newElement } from "../../../server/firewall/nft-elements.ts";
import type { Received } from "../../../server/sys/netlink-message.ts";
import { parseAddress } from "../../../shared/address.ts";
import { ok, unwrap } from "../../../shared/result.ts";

const set = { name: "tock4-ssh", family: 4, port: false } as const;

/** A message of a dump with one element, as the kernel would give it. */
function part(address: string): Received {
  const { type, flags, body } = newElement(
    set,
    { source: unwrap(parseAddress(address)), sourcePort: undefined },
    1000,
    undefined,
  );
  return { type, flags, sequence: 1, body };
}

/** A kernel that gives these lists, one after the other, and then the last one again. */
function kernel(...lists: readonly (readonly string[])[]) {
  let asked = 0;
  const dump = () => {
    const list = lists[Math.min(asked++, lists.length - 1)] ?? [];
    return ok(list.map(part));
  };
  const addresses = (): string[] => {
    const held = dumpElements({ dump }, set);
    return held.ok ? held.value.map(({ source }) => source.text) : [];
  };
  return { addresses, asked: () => asked };
}

test("a list in one part is asked for once", () => {
  const { addresses, asked } = kernel(["192.0.2.1"]);
  expect(addresses()).toEqual(["192.0.2.1"]);
  expect(asked()).toBe(1);
});

test("what a list in several parts has skipped is found", () => {
  const { addresses, asked } = kernel(["192.0.2.1", "192.0.2.3"], ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
  expect(addresses().toSorted()).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
  expect(asked()).toBe(3);
});

test("elements that come all the time keep nobody asking for ever", () => {
  const lists = Array.from({ length: 100 }, (_, n) => ["192.0.2.1", `198.51.100.${n}`]);
  const { addresses, asked } = kernel(...lists);
  expect(addresses()).toHaveLength(1 + asked());
  expect(asked()).toBeLessThan(10);
});
