import {
  derive,
  keysOf,
  OTHER_SECRET,
  OTHER_SERVER_ID,
  plainBase64,
  SECRET,
  SERVER_ID,
  STEP,
} from "./inputs.ts";
import { hkdfExtract, utf8 } from "./primitives.ts";

/** Secrets, server ids and steps: the first steps, today, both sides of 2^32, and the last that 48 bits of milliseconds reach. */
export function keySchedule(): object[] {
  const steps = [0, 1, 255, 256, STEP, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Math.floor((2 ** 48 - 1) / 30_000)];
  return [
    ...steps.map((step) => entry("first device", SECRET, SERVER_ID, step)),
    entry("other device", OTHER_SECRET, SERVER_ID, STEP),
    entry("first device, other server", SECRET, OTHER_SERVER_ID, STEP),
    entry("secret of zeros", Buffer.alloc(32), SERVER_ID, STEP),
    entry("secret of ones", Buffer.alloc(32, 0xff), Buffer.alloc(16), STEP),
  ];
}

function entry(name: string, secret: Buffer, serverId: Buffer, step: number): object {
  const keys = keysOf(secret, serverId, step);
  const knock = [0, 1, 2, 255].map((block): [number, string] => [
    block,
    derive(secret, serverId, "knock", step, 64, block).toString("hex"),
  ]);
  return {
    name: `${name}, step ${step}`,
    secret: secret.toString("hex"),
    serverId: serverId.toString("hex"),
    step,
    prk: hkdfExtract(secret, Buffer.concat([utf8("tock/1"), serverId])).toString("hex"),
    tag: keys.tag.toString("hex"),
    seal: keys.seal.toString("hex"),
    ack: keys.ack.toString("hex"),
    ice: keys.ice.toString("hex"),
    icePassword: plainBase64(keys.ice),
    knock: Object.fromEntries(knock),
  };
}
