import { OTHER_SECRET, SECRET, SERVER_ID, withByte } from "./inputs.ts";
import { bytes, hkdf, sample, utf8, x25519, x25519Public } from "./primitives.ts";

const SERVER_KEY = sample("tock vectors: server key", 32);
const EPHEMERAL = sample("tock vectors: ephemeral key", 32);
const OTHER_EPHEMERAL = sample("tock vectors: other ephemeral key", 32);

/** Points whose agreement is zero whatever the key: orders 1, 2, 4 and 8 of curve and twist, also written not reduced. */
const SMALL_ORDER: [string, string][] = [
  ["0", "00".repeat(32)],
  ["1", `01${"00".repeat(31)}`],
  ["order 8, first", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"],
  ["order 8, second", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"],
  ["p - 1", `ec${"ff".repeat(30)}7f`],
  ["p, which is 0", `ed${"ff".repeat(30)}7f`],
  ["p + 1, which is 1", `ee${"ff".repeat(30)}7f`],
  ["0 with the top bit set", `${"00".repeat(31)}80`],
  ["p - 1 with the top bit set", `ec${"ff".repeat(31)}`],
];

export function rotations(): { agreed: object[]; refused: object[] } {
  const server = x25519Public(SERVER_KEY);
  return {
    agreed: [
      agreement("first rotation", SECRET, EPHEMERAL),
      agreement("another ephemeral key", SECRET, OTHER_EPHEMERAL),
      agreement("another secret", OTHER_SECRET, EPHEMERAL),
      fromDaemon("ephemeral key with its top bit set: ignored by the agreement, part of info", topBitSet()),
    ],
    refused: SMALL_ORDER.map(([name, point]) => {
      if (x25519(SERVER_KEY, bytes(point)) !== undefined)
        throw new Error(`${name}: expected a point of small order`);
      return {
        name,
        secret: SECRET.toString("hex"),
        serverId: SERVER_ID.toString("hex"),
        serverSecretKey: SERVER_KEY.toString("hex"),
        serverPublicKey: server.toString("hex"),
        ephemeralPublicKey: point,
      };
    }),
  };
}

function topBitSet(): Buffer {
  const key = x25519Public(EPHEMERAL);
  return withByte(key, 31, key[31]! | 0x80);
}

function agreement(name: string, secret: Buffer, ephemeral: Buffer): object {
  const ephemeralPublic = x25519Public(ephemeral);
  const shared = x25519(ephemeral, x25519Public(SERVER_KEY));
  if (shared?.equals(x25519(SERVER_KEY, ephemeralPublic) ?? Buffer.alloc(0)) !== true) throw new Error(name);
  return entry(name, secret, ephemeral, ephemeralPublic, shared);
}

function fromDaemon(name: string, ephemeralPublic: Buffer): object {
  const shared = x25519(SERVER_KEY, ephemeralPublic);
  if (shared === undefined) throw new Error(name);
  return entry(name, SECRET, null, ephemeralPublic, shared);
}

function entry(
  name: string,
  secret: Buffer,
  ephemeral: Buffer | null,
  ephemeralPublic: Buffer,
  shared: Buffer,
) {
  const root = hkdf(secret, Buffer.concat([utf8("tock/1"), SERVER_ID]), utf8("rotate"), 32);
  const salt = Buffer.concat([utf8("tock/1 rotate"), SERVER_ID]);
  return {
    name,
    secret: secret.toString("hex"),
    serverId: SERVER_ID.toString("hex"),
    serverSecretKey: SERVER_KEY.toString("hex"),
    serverPublicKey: x25519Public(SERVER_KEY).toString("hex"),
    ephemeralSecretKey: ephemeral?.toString("hex") ?? null,
    ephemeralPublicKey: ephemeralPublic.toString("hex"),
    shared: shared.toString("hex"),
    root: root.toString("hex"),
    next: hkdf(Buffer.concat([shared, root]), salt, ephemeralPublic, 32).toString("hex"),
  };
}
