import type { UnixMillis } from "../shared/brand.ts";
import { base64url, fromBase64url } from "../shared/bytes.ts";
import { SECRET_BYTES } from "../shared/constants.ts";
import { decodeServerInfo, encodeServerInfo, type ServerInfo } from "../shared/enrolment.ts";
import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { Secret } from "../shared/secret.ts";

/** The secrets of one device, as the client holds them. */
export interface Keys {
  readonly current: Secret;
  /** When `current` came to be, by the client's clock. */
  readonly since: UnixMillis;
  /** `current` came out of a link, and all that it can do is rotate. */
  readonly enrolling: boolean;
  /** A rotation that has begun and that no reply under the new secret has ended yet. */
  readonly next: NextKey | undefined;
}

export interface NextKey {
  readonly secret: Secret;
  /** The ephemeral public key, 32 bytes: asking again must ask for the same secret. */
  readonly ephemeral: Uint8Array;
  readonly since: UnixMillis;
  /** The server said that it has stored this secret too. */
  readonly acknowledged: boolean;
}

/** Keys as they lie in the file: in the clear, or sealed under a key that is not in the file. */
export type StoredKeys =
  | { readonly kind: "plain"; readonly keys: Keys }
  | { readonly kind: "sealed"; readonly lock: Readonly<Record<string, unknown>>; readonly box: Uint8Array };

/** One server that this device is enrolled at. */
export interface Profile {
  readonly name: string;
  readonly info: ServerInfo;
  readonly createdAt: UnixMillis;
  readonly keys: StoredKeys;
}

/** Schema of the file. A client refuses a file of a later one, which it would spoil. */
const VERSION = 1;

export function encodeProfile(profile: Profile): string {
  const { keys } = profile;
  const stored =
    keys.kind === "plain"
      ? { kind: "plain", ...encodeKeys(keys.keys) }
      : { kind: "sealed", lock: keys.lock, box: base64url(keys.box) };
  const file = {
    version: VERSION,
    createdAt: profile.createdAt,
    server: encodeServerInfo(profile.info),
    keys: stored,
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** Errors name the profile and what is wrong with it, and never show what it holds. */
export function decodeProfile(name: string, text: string): Result<Profile> {
  const damaged = (what: string): Result<never> => {
    const hint = `restore it from a backup, or run tock forget ${name} and enrol again`;
    return err(new TockError("invalid", `profile ${name}: ${what}`, hint));
  };
  const file = parseJson(text);
  if (file === undefined) return damaged("the file is damaged: it is not JSON");
  if (file["version"] !== VERSION) {
    const hint = "a newer tock wrote it; update this one";
    const version = typeof file["version"] === "number" ? `version ${file["version"]}` : "no version";
    return err(
      new TockError("invalid", `profile ${name}: expected version ${VERSION}, got ${version}`, hint),
    );
  }
  const info = decodeServerInfo(record(file["server"]) ?? {});
  if (!info.ok) return damaged(info.error.message.replace(/^enrolment link: /, "server."));
  const keys = decodeStoredKeys(record(file["keys"]) ?? {});
  const createdAt = file["createdAt"];
  if (keys === undefined) return damaged("its secrets are damaged");
  if (!isMillis(createdAt)) return damaged("createdAt is not a time");
  return ok({ name, info: info.value, createdAt, keys });
}

function decodeStoredKeys(stored: Readonly<Record<string, unknown>>): StoredKeys | undefined {
  if (stored["kind"] === "plain") {
    const keys = decodeKeys(stored);
    return keys && { kind: "plain", keys };
  }
  const lock = record(stored["lock"]);
  const box = bytes(stored["box"]);
  return stored["kind"] === "sealed" && lock && box ? { kind: "sealed", lock, box } : undefined;
}

/** Keys as values for JSON, secrets in the clear. */
export function encodeKeys({ current, since, enrolling, next }: Keys): Record<string, unknown> {
  return {
    current: base64url(current.expose()),
    since,
    enrolling,
    ...(next && {
      next: {
        secret: base64url(next.secret.expose()),
        ephemeral: base64url(next.ephemeral),
        since: next.since,
        acknowledged: next.acknowledged,
      },
    }),
  };
}

/** The inverse of {@link encodeKeys}; undefined for anything else. */
export function decodeKeys(stored: Readonly<Record<string, unknown>>): Keys | undefined {
  const current = secret(stored["current"]);
  const { since, enrolling } = stored;
  if (!current || !isMillis(since) || typeof enrolling !== "boolean") return undefined;
  if (stored["next"] === undefined) return { current, since, enrolling, next: undefined };
  const next = decodeNext(record(stored["next"]) ?? {});
  return next && { current, since, enrolling, next };
}

function decodeNext(stored: Readonly<Record<string, unknown>>): NextKey | undefined {
  const own = secret(stored["secret"]);
  const ephemeral = bytes(stored["ephemeral"]);
  const { since, acknowledged } = stored;
  if (!own || ephemeral?.length !== 32 || !isMillis(since) || typeof acknowledged !== "boolean")
    return undefined;
  return { secret: own, ephemeral, since, acknowledged };
}

/** JSON that is an object; undefined for anything else. */
export function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    return record(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function bytes(value: unknown): Uint8Array | undefined {
  return typeof value === "string" ? fromBase64url(value) : undefined;
}

function secret(value: unknown): Secret | undefined {
  const raw = bytes(value);
  return raw?.length === SECRET_BYTES ? new Secret(raw) : undefined;
}

function isMillis(value: unknown): value is UnixMillis {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 48;
}
