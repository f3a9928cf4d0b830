import { BlockList, isIP, SocketAddress } from "node:net";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Address, maskAddress, Network, parseAddress, parseNetwork } from "../../../shared/address.ts";
import { unwrap } from "../../../shared/result.ts";
import { address, bytesOf, v4, v6 } from "./arbitraries.ts";

/** Text that is nearly an address: a good one with characters put in, taken out or doubled. */
const nearly = fc
  .tuple(
    fc.oneof(
      fc.ipV4(),
      fc.ipV4Extended(),
      fc.ipV6(),
      v6.map(({ text }) => text),
      fc.constant("::ffff:192.0.2.1"),
    ),
    fc.array(
      fc.tuple(
        fc.nat(40),
        fc.nat(2),
        fc.constantFrom("", ":", "::", ".", "0", "f", "1.2.3.4", "/", "%", " "),
      ),
      {
        maxLength: 2,
      },
    ),
  )
  .map(([text, edits]) =>
    edits.reduce((now, [at, drop, add]) => now.slice(0, at) + add + now.slice(at + drop), text),
  );

describe("parseAddress", () => {
  test("takes what node:net takes, zones aside", () => {
    fc.assert(
      fc.property(nearly, (text) => {
        expect(parseAddress(text).ok).toBe(isIP(text) !== 0 && !text.includes("%"));
      }),
      { numRuns: 5000 },
    );
  });

  test("reads IPv6 as the operating system does", () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const { address } = new SocketAddress({ address: text, family: "ipv6" });
        expect(unwrap(parseAddress(text)).equals(unwrap(parseAddress(address)))).toBe(true);
      }),
    );
  });
});

describe("Address", () => {
  test("text and bytes are two forms of one value", () => {
    fc.assert(
      fc.property(address, (value) => {
        const parsed = unwrap(parseAddress(value.text));
        expect(parsed.bytes).toEqual(value.bytes);
        expect(parsed.text).toBe(value.text);
        expect(parsed.family).toBe(value.family);
        expect(value.wire().length).toBe(value.family === 4 ? 4 : 16);
        expect(JSON.stringify({ value })).toBe(`{"value":"${value.text}"}`);
      }),
    );
  });

  test("IPv6 text is what the URL standard's serializer writes", () => {
    const pure = v6.filter(({ family }) => family === 6);
    fc.assert(
      fc.property(pure, ({ text }) => {
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
    );
  });

  test("keeps its own copy of the bytes, of a Node Buffer too", () => {
    const bytes = Buffer.alloc(16, 7);
    const value = new Address(bytes);
    bytes.fill(0);
    expect(value.bytes.every((byte) => byte === 7)).toBe(true);
  });

  test.for([0, 3, 4, 15, 17])("refuses %i bytes for 16", (length) => {
    expect(() => new Address(new Uint8Array(length))).toThrow(RangeError);
  });

  test.for([0, 3, 5, 16])("refuses %i bytes for 4", (length) => {
    expect(() => Address.v4(new Uint8Array(length))).toThrow(RangeError);
  });
});

describe("Network", () => {
  const withPrefix = fc.oneof(
    fc.tuple(v4, v4, fc.integer({ min: 0, max: 32 })),
    fc.tuple(v6, v6, fc.integer({ min: 0, max: 128 })).filter(([a, b]) => a.family === 6 && b.family === 6),
    fc.tuple(v6, fc.nat(127), fc.integer({ min: 0, max: 128 })).map(([a, bit, prefix]) => {
      const bytes = a.bytes.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      return [a, new Address(bytes), prefix] as const;
    }),
  );

  test("contains what node:net's BlockList contains", () => {
    fc.assert(
      fc.property(withPrefix, ([base, other, prefix]) => {
        fc.pre(base.family === 6 || prefix <= 32);
        fc.pre(base.family === other.family);
        const family = base.family === 4 ? "ipv4" : "ipv6";
        const list = new BlockList();
        list.addSubnet(base.text, prefix, family);
        expect(new Network(base, prefix).contains(other)).toBe(list.check(other.text, family));
        expect(new Network(base, prefix).contains(base)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("never contains an address of the other family", () => {
    expect(new Network(unwrap(parseAddress("::")), 0).contains(unwrap(parseAddress("192.0.2.1")))).toBe(
      false,
    );
    expect(
      new Network(unwrap(parseAddress("0.0.0.0")), 0).contains(unwrap(parseAddress("2001:db8::1"))),
    ).toBe(false);
  });

  test("its text comes back, and text with bits after the prefix does not", () => {
    fc.assert(
      fc.property(withPrefix, ([base, , prefix]) => {
        fc.pre(base.family === 6 || prefix <= 32);
        const network = new Network(base, prefix);
        // Clearing bits can leave an IPv4-mapped prefix of an IPv6 address; those are no IPv4 networks.
        fc.pre(network.address.family === base.family);
        expect(unwrap(parseNetwork(network.toString())).toString()).toBe(network.toString());
        const unmasked = parseNetwork(`${base.text}/${prefix}`);
        expect(unmasked.ok).toBe(maskAddress(base, prefix).equals(base));
      }),
    );
  });

  test.for([
    "",
    "/",
    "192.0.2.0/",
    "192.0.2.0/33",
    "192.0.2.0/024",
    "192.0.2.0/-1",
    "::/129",
    "192.0.2.0/24/24",
    "a/8",
  ])("refuses '%s'", (text) => {
    expect(parseNetwork(text)).toMatchObject({ ok: false, error: { code: "invalid" } });
  });

  test("a single address is its own network, and a mistake gets a hint", () => {
    expect(unwrap(parseNetwork("192.0.2.1")).toString()).toBe("192.0.2.1/32");
    expect(unwrap(parseNetwork("::1")).toString()).toBe("::1/128");
    expect(parseNetwork("192.0.2.1/24")).toMatchObject({ error: { hint: "did you mean 192.0.2.0/24?" } });
  });

  test.for([-1, 33, 1.5, Number.NaN])("refuses a prefix of %d for IPv4", (prefix) => {
    expect(() => new Network(Address.v4(new Uint8Array(4)), prefix)).toThrow(RangeError);
  });

  test("masking keeps the first bits and clears the others", () => {
    fc.assert(
      fc.property(bytesOf(16), fc.integer({ min: 0, max: 128 }), (bytes, prefix) => {
        const value = new Address(bytes);
        fc.pre(value.family === 6);
        const number = (from: Uint8Array): bigint => BigInt(`0x${Buffer.from(from).toString("hex")}`);
        const mask = ((1n << 128n) - 1n) ^ ((1n << BigInt(128 - prefix)) - 1n);
        expect(number(maskAddress(value, prefix).bytes)).toBe(number(bytes) & mask);
      }),
    );
  });
});
