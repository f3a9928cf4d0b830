import { base64url, fromBase64url } from "../../shared/bytes.ts";
import { decodeServerInfo } from "../../shared/enrolment.ts";
import { type Box, MOST_ROUNDS } from "./passphrase.ts";
import { newProfile, type Profile } from "./profile.ts";

/** A profile as a file: the server's description, and the secret under a passphrase. */

const VERSION = 1;

export function encodeBackup(profile: Profile, box: Box, now: number): string {
  const { salt, rounds, iv, sealed } = box;
  const file = {
    tock: VERSION,
    savedAt: now,
    name: profile.name,
    login: profile.login,
    server: profile.info,
    box: { salt: base64url(salt), rounds, iv: base64url(iv), sealed: base64url(sealed) },
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** A profile under its passphrase; undefined where the text is no backup. */
export function decodeBackup(text: string, now: number): Profile | undefined {
  const file = record(parse(text));
  const info = decodeServerInfo(record(file["server"]));
  const box = decodeBox(record(file["box"]));
  const { name, login } = file;
  if (file["tock"] !== VERSION || !info.ok || box === undefined) return undefined;
  const profile = newProfile(info.value, { kind: "box", box }, false, now);
  return {
    ...profile,
    name: typeof name === "string" ? name.slice(0, 63) : profile.name,
    login: typeof login === "string" ? login : "",
  };
}

function decodeBox(json: Record<string, unknown>): Box | undefined {
  const bytes = (name: string): Uint8Array<ArrayBuffer> => {
    const text = json[name];
    return Uint8Array.from(fromBase64url(typeof text === "string" ? text : "") ?? []);
  };
  const [salt, iv, sealed] = [bytes("salt"), bytes("iv"), bytes("sealed")];
  const { rounds } = json;
  const isRounds =
    typeof rounds === "number" && Number.isInteger(rounds) && rounds > 0 && rounds <= MOST_ROUNDS;
  if (salt.length !== 16 || iv.length !== 12 || sealed.length !== 48 || !isRounds) return undefined;
  return { salt, rounds, iv, sealed };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
