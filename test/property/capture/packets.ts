import * as fc from "fast-check";
import { udpFrame, tcpFrame } from "../../lab/frame.ts";

const ETHERNET = 14;

const address = fc.constantFrom(["192.0.2.7", "192.0.2.1"] as const, ["2001:db8::7", "2001:db8::1"] as const);
const port = fc.oneof(fc.constantFrom(62201, 9999, 10000, 32767, 32768), fc.integer({ min: 0, max: 65535 }));
const payload = fc.oneof(
  fc.uint8Array({ minLength: 144, maxLength: 144 }),
  fc.uint8Array({ maxLength: 200 }),
  stunMessage(),
);

/** A Binding Request with attributes of any kind; now and then a user name among them. */
function stunMessage(): fc.Arbitrary<Uint8Array> {
  const type = fc.oneof(fc.constant(0x0006), fc.integer({ min: 0, max: 0xffff }));
  const text = fc.array(fc.constantFrom(..."AZaz09+/:-"), { maxLength: 210 }).map((all) => all.join(""));
  return fc.array(fc.tuple(type, text), { maxLength: 6 }).map((attributes) => {
    const parts = attributes.map(([type, value]) => {
      const part = Buffer.alloc(4 + value.length + (-value.length & 3));
      part.writeUInt16BE(type, 0);
      part.writeUInt16BE(value.length, 2);
      part.write(value, 4);
      return part;
    });
    const header = Buffer.alloc(20);
    header.writeUInt16BE(1, 0);
    header.writeUInt16BE(parts.reduce((sum, part) => sum + part.length, 0) & 0xffff, 2);
    header.writeUInt32BE(0x2112a442, 4);
    return Buffer.concat([header, ...parts]);
  });
}

const wellFormed = fc
  .tuple(address, port, payload, fc.boolean(), fc.integer({ min: 0, max: 255 }))
  .map(([[from, to], port, payload, isUdp, flags]) => {
    const mac = "02:00:00:00:00:01";
    const sides = [
      { mac, address: from, port: 40000 },
      { mac, address: to, port },
    ] as const;
    const frame = isUdp ? udpFrame(...sides, payload) : tcpFrame(...sides, flags);
    return new Uint8Array(frame.subarray(ETHERNET));
  });

/** IP packets that are right but for a few bytes and their end, and now and then nothing but noise. */
export function packetBytes(): fc.Arbitrary<Uint8Array> {
  const edits = fc.array(fc.tuple(fc.nat({ max: 90 }), fc.integer({ min: 0, max: 255 })), { maxLength: 3 });
  const cut = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat({ max: 220 }) },
  );
  const mangled = fc.tuple(wellFormed, edits, cut).map(([packet, edits, cut]) => {
    for (const [at, value] of edits) if (at < packet.length) packet[at] = value;
    return packet.slice(0, Math.max(0, packet.length - cut));
  });
  return fc.oneof(
    { weight: 9, arbitrary: mangled },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  );
}
