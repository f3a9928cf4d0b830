import { Address } from "./address.ts";
import { parseServiceName, type Port, type ServiceName, type UnixMillis } from "./brand.ts";
import { CLOCK_DETAIL } from "./answer-word.ts";
import { ascii } from "./bytes.ts";
import { REQUEST_BYTES } from "./constants.ts";

export const REQUEST_TYPES = ["open", "close", "rotate", "ping"] as const;
export type RequestType = (typeof REQUEST_TYPES)[number];

/** What a device asks for: the plaintext of an SPA packet. */
export interface Request {
  readonly type: RequestType;
  readonly replyWanted: boolean;
  readonly sentAt: UnixMillis;
  /** Second-factor code, 0 to 999999. */
  readonly otp: number | undefined;
  /** The address to let in; undefined = the packet's own source. */
  readonly allow: Address | undefined;
  /** Limit the grant to this source port. */
  readonly fromPort: Port | undefined;
  /** Lifetime asked for in seconds, 1 to 65535; 0 = the service's own. */
  readonly lifetime: number;
  /** Connections asked for, 1 to 255; 0 = the service's own limit. */
  readonly connections: number;
  /** Undefined for rotate and ping. */
  readonly service: ServiceName | undefined;
  /** ping: what its answer in the STUN form should tell, 1 to 10 (see answer-word.ts); undefined = the result. */
  readonly detail?: number | undefined;
  /** rotate: the ephemeral X25519 public key, 32 bytes. */
  readonly body: Uint8Array | undefined;
}

const VERSION = 1;
const NO_OTP = 0xffffffff;
const OTP_LIMIT = 1_000_000;

/** 96 bytes, big-endian. The values are the caller's promise; lengths out of range throw RangeError. */
export function encodeRequest(request: Request): Uint8Array {
  const bytes = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, REQUEST_TYPES.indexOf(request.type) + 1);
  view.setUint16(2, request.replyWanted ? 1 : 0);
  view.setUint16(4, Math.floor(request.sentAt / 2 ** 32));
  view.setUint32(6, request.sentAt % 2 ** 32);
  view.setUint32(10, request.otp ?? NO_OTP);
  if (request.allow !== undefined) bytes.set(request.allow.bytes, 14);
  view.setUint16(30, request.fromPort ?? 0);
  view.setUint16(32, request.lifetime);
  view.setUint8(34, request.connections);
  view.setUint8(35, request.detail ?? 0);
  if (request.service !== undefined) bytes.set(ascii(request.service), 36);
  if (request.body !== undefined) {
    if (request.body.length !== 32)
      throw new RangeError(`body: expected 32 bytes, got ${request.body.length}`);
    bytes.set(request.body, 52);
  }
  return bytes;
}

/**
 * The strict inverse of {@link encodeRequest}: undefined for another version, type or flag, a code of seven digits, a
 * service name of another form, padding that is not zero, or a field that its type does not use.
 */
export function decodeRequest(bytes: Uint8Array): Request | undefined {
  if (bytes.length !== REQUEST_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = REQUEST_TYPES[view.getUint8(1) - 1];
  const flags = view.getUint16(2);
  const otp = view.getUint32(10);
  const detail = view.getUint8(35);
  const isRotate = type === "rotate";
  const needsService = type === "open" || type === "close";
  const service = decodeService(bytes.subarray(36, 52));
  if (
    view.getUint8(0) !== VERSION ||
    type === undefined ||
    flags > 1 ||
    (otp >= OTP_LIMIT && otp !== NO_OTP) ||
    detail > (type === "ping" ? CLOCK_DETAIL : 0) ||
    !isZero(bytes.subarray(84)) ||
    service === null ||
    needsService !== (service !== undefined) ||
    isRotate === isZero(bytes.subarray(52, 84)) ||
    (type !== "open" && !isZero(bytes.subarray(30, 35))) ||
    (!needsService && !isZero(bytes.subarray(14, 30)))
  ) {
    return undefined;
  }
  return {
    type,
    replyWanted: flags === 1,
    sentAt: (view.getUint16(4) * 2 ** 32 + view.getUint32(6)) as UnixMillis,
    otp: otp === NO_OTP ? undefined : otp,
    allow: isZero(bytes.subarray(14, 30)) ? undefined : new Address(bytes.subarray(14, 30)),
    fromPort: view.getUint16(30) === 0 ? undefined : (view.getUint16(30) as Port),
    lifetime: view.getUint16(32),
    connections: view.getUint8(34),
    service,
    ...(detail > 0 && { detail }),
    body: isRotate ? new Uint8Array(bytes.subarray(52, 84)) : undefined,
  };
}

/** The zero-padded name; undefined = all zero; null = not a service name. */
function decodeService(field: Uint8Array): ServiceName | undefined | null {
  const end = field.indexOf(0);
  const name = end < 0 ? field : field.subarray(0, end);
  if (!isZero(field.subarray(name.length))) return null;
  if (name.length === 0) return undefined;
  const parsed = parseServiceName(String.fromCharCode(...name));
  return parsed.ok ? parsed.value : null;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
