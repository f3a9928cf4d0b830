import { readFileSync } from "node:fs";
import { timeStep, type TimeStep } from "../../shared/brand.ts";
import { fromHex } from "../../shared/bytes.ts";
import { KeySchedule } from "../../shared/key-schedule.ts";
import { Secret } from "../../shared/secret.ts";

/** One file of test/vectors, by its name without `.json`. Its shape is the caller's promise. */
export function vectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
}

/** Bytes from the hexadecimal text of a vector. */
export function unhex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error(`vector: expected hexadecimal digits, got ${text}`);
  return bytes;
}

/** Who made what a vector holds. */
export interface Origin {
  readonly name: string;
  readonly secret: string;
  readonly serverId: string;
  readonly step: number;
}

export function originOf(vector: Origin): {
  secret: Secret;
  serverId: Uint8Array;
  step: TimeStep;
  schedule: KeySchedule;
} {
  const secret = new Secret(unhex(vector.secret));
  const serverId = unhex(vector.serverId);
  return { secret, serverId, step: timeStep(vector.step), schedule: new KeySchedule(secret, serverId) };
}
