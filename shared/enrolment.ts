import { parseAddress } from "./address.ts";
import {
  type DeviceId,
  type Port,
  parseDeviceId,
  parsePort,
  parseServiceName,
  type ServiceName,
} from "./brand.ts";
import { ascii, base64url, fromAscii, fromBase64url } from "./bytes.ts";
import { KNOCK_MIN_SPAN, SECRET_BYTES, SERVER_ID_BYTES } from "./constants.ts";
import { TockError } from "./errors.ts";
import type { KnockShape } from "./knock-sequence.ts";
import { formatPortRange, type PortRange, parsePortRange } from "./port-range.ts";
import { err, ok, type Result } from "./result.ts";
import { Secret } from "./secret.ts";

/** Everything that a new device needs to know of a server. It holds the device's secret: print it once, to one person. */
export interface Enrolment {
  readonly serverId: Uint8Array;
  /** The server's X25519 public key, 32 bytes. */
  readonly serverKey: Uint8Array;
  readonly secret: Secret;
  readonly device: DeviceId;
  /** What people call the server; the profile's name unless they choose another. */
  readonly server: string;
  /** Where to send packets: IP literals first, then host names; 1 to 8. */
  readonly addresses: readonly string[];
  readonly port: Port;
  /** Undefined where this device may not knock. */
  readonly knock: (KnockShape & { readonly transport: "tcp" | "udp" }) | undefined;
  readonly services: readonly { readonly name: ServiceName; readonly ports: readonly PortRange[] }[];
  /** Whether the daemon answers authentic packets. */
  readonly replies: boolean;
  /** The secret is for use as it is; otherwise all that it can do is rotate to the device's own. */
  readonly isStatic: boolean;
  /** Whether opening asks for a second-factor code. */
  readonly secondFactor: boolean;
  /** Seconds after which the device should rotate its secret; 0 = never by itself. */
  readonly rotateAfter: number;
}

/** All of it but the secret: what a client keeps in the clear beside the secret that it guards. */
export type ServerInfo = Omit<Enrolment, "secret">;

export const LINK_PREFIX = "tock://enroll/1#";
const MAX_LINK = 8192;
const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;
const SERVER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** The link, or with `page` (an https address) a link that opens the web client; the payload follows `#`, which no browser sends. */
export function encodeEnrolment(enrolment: Enrolment, page?: string): string {
  const { secret, ...info } = enrolment;
  const json = JSON.stringify({ ...encodeServerInfo(info), secret: base64url(secret.expose()) });
  return `${page === undefined ? LINK_PREFIX : `${page}#`}${base64url(ascii(json))}`;
}

/** A value for JSON; the inverse of {@link decodeServerInfo}. */
export function encodeServerInfo(info: ServerInfo): Record<string, unknown> {
  const { serverId, serverKey, services, ...rest } = info;
  return {
    ...rest,
    serverId: base64url(serverId),
    serverKey: base64url(serverKey),
    services: services.map(({ name, ports }) => ({ name, ports: ports.map(formatPortRange) })),
  };
}

/**
 * From a `tock://enroll/1#…` link, or any address with the payload after `#`. Errors never repeat the link, since it
 * holds a secret.
 */
export function decodeEnrolment(link: string): Result<Enrolment> {
  const text = link.trim();
  const hash = text.indexOf("#");
  if (
    hash < 0 ||
    text.length > MAX_LINK ||
    !/^(tock:\/\/enroll\/1|https?:\/\/\S*|file:\/\/\S*)$/.test(text.slice(0, hash))
  ) {
    return wrong("expected tock://enroll/1#… or a page's address with #…");
  }
  const json = parseJson(fromBase64url(text.slice(hash + 1)) ?? new Uint8Array());
  if (typeof json !== "object" || json === null) return wrong("the part after # is damaged or cut short");
  return decodePayload(json as Record<string, unknown>);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromAscii(bytes));
  } catch {
    return undefined;
  }
}

function decodePayload(json: Record<string, unknown>): Result<Enrolment> {
  const info = decodeServerInfo(json);
  if (!info.ok) return info;
  const text = Object.hasOwn(json, "secret") ? json["secret"] : undefined;
  const secret = fromBase64url(typeof text === "string" ? text : "");
  if (secret?.length !== SECRET_BYTES) return wrong("secret is missing or of a wrong length");
  return ok({ ...info.value, secret: new Secret(secret) });
}

/** Checks every field; what is wrong is an error that speaks of an enrolment link. */
export function decodeServerInfo(json: Record<string, unknown>): Result<ServerInfo> {
  const field = (name: string): unknown => (Object.hasOwn(json, name) ? json[name] : undefined);
  const text = (name: string): string => {
    const value = field(name);
    return typeof value === "string" ? value : "";
  };
  const bytes = (name: string, length: number): Uint8Array | undefined => {
    const value = fromBase64url(text(name));
    return value?.length === length ? value : undefined;
  };
  const serverId = bytes("serverId", SERVER_ID_BYTES);
  const serverKey = bytes("serverKey", 32);
  if (!serverId || !serverKey) return wrong("serverId or serverKey is missing or of a wrong length");

  const device = parseDeviceId(text("device"));
  if (!device.ok) return wrong("device is not user/device");
  const server = text("server");
  if (!SERVER_NAME.test(server)) return wrong("server is not a name of 1 to 63 letters, digits, . - and _");
  const addresses = field("addresses");
  if (!isTextList(addresses) || addresses.length > 8 || !addresses.every(isHost)) {
    return wrong("addresses is not a list of 1 to 8 addresses or host names");
  }
  const number = field("port");
  const port = parsePort(typeof number === "number" ? number : 0);
  if (!port.ok) return wrong("port is not from 1 to 65535");
  const knock = decodeKnock(field("knock"));
  if (knock === null) return wrong("knock is not a range of ports, a length from 3 to 8 and a transport");
  const services = decodeServices(field("services"));
  if (services === undefined) return wrong("services is not a list of names with their ports");
  const rotateAfter = field("rotateAfter");
  if (typeof rotateAfter !== "number" || !Number.isSafeInteger(rotateAfter) || rotateAfter < 0) {
    return wrong("rotateAfter is not a number of seconds");
  }
  return ok({
    serverId,
    serverKey,
    device: device.value,
    server,
    addresses,
    port: port.value,
    knock,
    services,
    replies: field("replies") === true,
    isStatic: field("isStatic") === true,
    secondFactor: field("secondFactor") === true,
    rotateAfter,
  });
}

function decodeKnock(value: unknown): Enrolment["knock"] | null {
  if (value === undefined || value === null) return undefined;
  const { first, last, length, transport } = value as Record<string, unknown>;
  if (transport !== "tcp" && transport !== "udp") return null;
  if (!isWhole(first, 1, 65535) || !isWhole(last, 1, 65535) || !isWhole(length, 3, 8)) return null;
  return last - first + 1 >= KNOCK_MIN_SPAN ? { first, last, length, transport } : null;
}

function decodeServices(value: unknown): Enrolment["services"] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > 64) return undefined;
  const services: Enrolment["services"][number][] = [];
  for (const entry of value as unknown[]) {
    const { name, ports } = (entry ?? {}) as Record<string, unknown>;
    const parsed = parseServiceName(typeof name === "string" ? name : "");
    const ranges = isTextList(ports) ? ports.map(parsePortRange) : [];
    if (!parsed.ok || ranges.length === 0) return undefined;
    const list: PortRange[] = [];
    for (const range of ranges) {
      if (!range.ok) return undefined;
      list.push(range.value);
    }
    services.push({ name: parsed.value, ports: list });
  }
  return services;
}

/** An IP literal or a host name. A name that ends in a number is neither: resolvers read `192.0.2.300` or `0x7f.1` as addresses. */
export function isHost(text: string): boolean {
  return parseAddress(text).ok || (HOST_NAME.test(text) && !/(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$/i.test(text));
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string");
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}

function wrong(what: string): Result<never> {
  const hint = "copy the whole link, or ask for a new one: tockd device add prints it";
  return err(new TockError("invalid", `enrolment link: ${what}`, hint));
}
