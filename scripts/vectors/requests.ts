import { isIPv4, SocketAddress } from "node:net";
import { NOW } from "./inputs.ts";
import { bytes, uint, utf8 } from "./primitives.ts";

/** The fields of a request as the vectors write them; null = not there. */
export interface RequestFields {
  readonly type: "open" | "close" | "rotate" | "ping";
  readonly replyWanted: boolean;
  readonly sentAt: number;
  readonly otp: number | null;
  readonly allow: string | null;
  readonly fromPort: number | null;
  readonly lifetime: number;
  readonly connections: number;
  readonly service: string | null;
  readonly body: string | null;
  /** Where it is not there, nothing: only a ping has one. */
  readonly detail?: number;
}

const BARE = {
  replyWanted: false,
  sentAt: NOW,
  otp: null,
  allow: null,
  fromPort: null,
  lifetime: 0,
  connections: 0,
  service: null,
  body: null,
};

export const OPEN: RequestFields = { ...BARE, type: "open", service: "ssh" };
export const CLOSE: RequestFields = { ...BARE, type: "close", service: "ssh" };
export const PING: RequestFields = { ...BARE, type: "ping", replyWanted: true };
export const ROTATE: RequestFields = { ...BARE, type: "rotate", replyWanted: true, body: "0f".repeat(32) };
export const FULL: RequestFields = {
  type: "open",
  replyWanted: true,
  sentAt: NOW,
  otp: 123456,
  allow: "192.0.2.33",
  fromPort: 50022,
  lifetime: 300,
  connections: 2,
  service: "ssh",
  body: null,
};

/** The 96 bytes, written field by field in the order of the table in docs/PROTOCOL.md. */
export function plaintext(fields: RequestFields): Buffer {
  const type = { open: 1, close: 2, rotate: 3, ping: 4 }[fields.type];
  const service = Buffer.alloc(16);
  utf8(fields.service ?? "").copy(service);
  return Buffer.concat([
    uint(1, 1),
    uint(type, 1),
    uint(fields.replyWanted ? 1 : 0, 2),
    uint(fields.sentAt, 6),
    uint(fields.otp ?? 0xffffffff, 4),
    fields.allow === null ? Buffer.alloc(16) : address16(fields.allow),
    uint(fields.fromPort ?? 0, 2),
    uint(fields.lifetime, 2),
    uint(fields.connections, 1),
    uint(fields.detail ?? 0, 1),
    service,
    fields.body === null ? Buffer.alloc(32) : bytes(fields.body),
    Buffer.alloc(12),
  ]);
}

/** 16 bytes of an address, IPv4 as ::ffff:a.b.c.d. The expanding of `::` is checked against node:net. */
export function address16(text: string): Buffer {
  if (isIPv4(text))
    return Buffer.concat([bytes("00000000000000000000ffff"), Buffer.from(text.split(".").map(Number))]);
  const [head = "", tail] = text.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: zeros }, () => "0"), ...groups(tail ?? "")];
  const canonical = (value: string): string => new SocketAddress({ address: value, family: "ipv6" }).address;
  if (canonical(text) !== canonical(all.join(":"))) throw new Error(`address: ${text}`);
  return Buffer.concat(all.map((group) => uint(Number.parseInt(group, 16), 2)));
}
