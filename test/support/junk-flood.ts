import { createSocket } from "node:dgram";

/**
 * Sends junk as fast as it goes: `junk-flood.ts ADDRESS PORT COUNT SEED PACKET-HEX STUN-HEX`. Random bytes of all sizes,
 * and the two genuine datagrams with bytes changed, cut short or drawn out; those with a right tag get as far as the AEAD.
 */
const [address = "", port = "", count = "", seed = "", packetHex = "", stunHex = ""] = process.argv.slice(2);
const genuine = [Buffer.from(packetHex, "hex"), Buffer.from(stunHex, "hex")] as const;
const BATCH = 512;

let state = Number(seed) >>> 0;
/** Marsaglia's xorshift, 32 bits: the same seed gives the same junk. */
function next(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state % below;
}

function randomBytes(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) bytes[at] = next(256);
  return bytes;
}

/** Never the genuine datagram itself: at least one bit of what its AEAD covers differs, or its length. */
function junk(): Buffer {
  const kind = next(10);
  if (kind === 0) return randomBytes(next(700));
  if (kind === 1) return randomBytes(144);
  const isPacket = kind < 6;
  const original = isPacket ? genuine[0] : genuine[1];
  if (kind === 2 || kind === 6) return original.subarray(0, next(original.length));
  if (kind === 3 || kind === 7) return Buffer.concat([original, randomBytes(1 + next(300))]);
  const copy = Buffer.from(original);
  // The packet after its tag; in the STUN form the base64 of that, in the first attribute.
  const [from, to] = isPacket ? [8, 144] : [24 + 11, 24 + 192];
  const at = from + next(to - from);
  copy[at] = (copy[at] ?? 0) ^ (1 + next(255));
  return copy;
}

const flood = createSocket(address.includes(":") ? "udp6" : "udp4");
flood.on("error", () => undefined);
await new Promise<void>((resolve) => flood.connect(Number(port), address, resolve));
let refused = 0;
for (let sent = 0; sent < Number(count); sent += BATCH) {
  const sends = Array.from(
    { length: Math.min(BATCH, Number(count) - sent) },
    () =>
      new Promise<void>((resolve) => {
        flood.send(junk(), (error) => {
          if (error !== null) refused++;
          resolve();
        });
      }),
  );
  await Promise.all(sends);
}
flood.close();
console.log(`sent ${Number(count) - refused}`);
