import { createSocket } from "node:dgram";

/**
 * Sends mutated copies of a STUN request as fast as it goes: `stun-flood.ts ADDRESS PORT COUNT SEED HEX`.
 * Each copy differs from the original in the packet that it carries, so none may be taken for one.
 */
const [address = "", port = "", count = "", seed = "", message = ""] = process.argv.slice(2);
const original = Buffer.from(message, "hex");
/** The user name's 192 characters of base64: the first attribute's value. */
const NAME = { from: 24, to: 24 + 192 };
const BATCH = 256;

let state = Number(seed) >>> 0;
/** Marsaglia's xorshift, 32 bits: the same seed gives the same flood. */
function next(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state % below;
}

function mutant(): Buffer {
  let copy = Buffer.from(original);
  const at = NAME.from + next(NAME.to - NAME.from);
  copy[at] = (copy[at] ?? 0) ^ (1 + next(255));
  for (let more = next(4); more > 0; more--) {
    const where = next(copy.length);
    // Never back to what it was.
    if (where !== at) copy[where] = next(256);
  }
  const kind = next(16);
  if (kind === 0) copy = copy.subarray(0, next(copy.length));
  if (kind === 1) copy = Buffer.concat([copy, copy.subarray(0, next(300))]);
  if (kind === 2) copy.writeUInt16BE(next(65536), 2);
  if (kind === 3) copy.writeUInt16BE(next(65536), 22);
  return copy;
}

const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
socket.on("error", () => undefined);
await new Promise<void>((resolve) => socket.connect(Number(port), address, resolve));
let refused = 0;
for (let sent = 0; sent < Number(count); sent += BATCH) {
  const sends = Array.from({ length: Math.min(BATCH, Number(count) - sent) }, () => {
    const datagram = mutant();
    return new Promise<void>((resolve) =>
      socket.send(datagram, (error) => {
        if (error !== null) refused++;
        resolve();
      }),
    );
  });
  await Promise.all(sends);
}
socket.close();
console.log(`sent ${Number(count) - refused}`);
