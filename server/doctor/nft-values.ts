import { within } from "./networks.ts";
import { flagsOf, is, type Match, type Packet } from "./walk.ts";

export type Json = Readonly<Record<string, unknown>>;

/** What an expression gives for a packet: its value; or that it gives none, or one for each client, or one that is not known. */
export type Value = { readonly value: unknown } | "absent" | "client" | "unknown";

const FLAGS = new Set(["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"]);

/** What a match says of a packet's flags of TCP; undefined = it is not about those, or cannot be told. */
export function flagsMatch({ left, right, op }: Json, packet: Packet): Match | undefined {
  const [kind, content] = Object.entries((left ?? {}) as Json)[0] ?? [];
  const [inner, mask] = kind === "&" ? (content as readonly [unknown, unknown]) : [left, [...FLAGS]];
  const { protocol, field } = ((inner as Json | null)?.["payload"] ?? {}) as Json;
  if (protocol !== "tcp" || field !== "flags") return undefined;
  const [looked, wanted] = [flagsIn(mask), flagsIn(right)];
  if (looked === undefined || wanted === undefined) return undefined;
  if (packet.protocol !== "tcp") return "none";
  const set = flagsOf(packet).filter((flag) => looked.includes(flag));
  if (op === "in") return is(wanted.some((flag) => set.includes(flag)));
  return is((set.join() === wanted.join()) !== (op === "!="));
}

/** One, a list, several joined by `|`, or 0; in the order of the alphabet. */
function flagsIn(expression: unknown): string[] | undefined {
  const words =
    JSON.stringify(expression)
      ?.match(/\w+/g)
      ?.filter((word) => word !== "0") ?? [];
  return words.every((word) => FLAGS.has(word)) ? words.toSorted() : undefined;
}

/** The value of an expression, such as `{"meta": {"key": "l4proto"}}` of libnftables-json(5). */
export function valueOf(left: unknown, packet: Packet): Value {
  if (typeof left !== "object" || left === null) return "unknown";
  const [kind = "", content] = Object.entries(left as Json)[0] ?? [];
  if (kind === "concat") {
    const parts = (content as unknown[]).map((part) => valueOf(part, packet));
    const worst = (["absent", "unknown", "client"] as const).find((each) => parts.includes(each));
    return worst ?? { value: parts.map((part) => (part as { readonly value: unknown }).value) };
  }
  const inside = (typeof content === "object" ? content : {}) as Json;
  if (kind === "payload") return payloadOf(String(inside["protocol"]), String(inside["field"]), packet);
  if (kind === "meta") return metaOf(String(inside["key"]), packet);
  if (kind === "ct") return trackedOf(String(inside["key"]), inside["dir"], packet);
  if (kind === "fib") {
    const flags = JSON.stringify(inside["flags"]);
    if (inside["result"] === "type" && flags.includes("daddr"))
      return { value: packet.local ? "local" : "unicast" };
    if (inside["result"] === "type") return { value: "unicast" };
    // There is a way back to whoever has come here.
    return flags.includes("saddr") ? { value: true } : "unknown";
  }
  return "unknown";
}

function payloadOf(protocol: string, field: string, packet: Packet): Value {
  if (protocol === "tcp" || protocol === "udp" || protocol === "th") {
    if (protocol !== "th" && protocol !== packet.protocol) return "absent";
    if (field === "dport") return known(packet.port);
    if (field === "sport") return known(packet.sourcePort);
    return "unknown";
  }
  if (protocol === "ip" || protocol === "ip6") {
    if ((protocol === "ip" ? 4 : 6) !== packet.family) return "absent";
    if (field === "saddr") return "client";
    if (field === "daddr") return known(packet.to);
    return field === "protocol" || field === "nexthdr" ? { value: packet.protocol } : "unknown";
  }
  if (protocol === "ether") return field === "saddr" ? "client" : "unknown";
  return /^(icmp|icmpv6|sctp|dccp|udplite|esp|ah|comp|arp|igmp|vlan)$/.test(protocol) ? "absent" : "unknown";
}

function known(value: string | number | undefined): Value {
  return value === undefined ? "client" : { value };
}

function metaOf(key: string, packet: Packet): Value {
  switch (key) {
    case "l4proto":
      return { value: packet.protocol };
    case "nfproto":
      return { value: packet.family === 4 ? "ipv4" : "ipv6" };
    case "protocol":
      return { value: packet.family === 4 ? "ip" : "ip6" };
    case "iif":
    case "iifname":
      return known(packet.from);
    case "oif":
    case "oifname":
      return packet.local ? "absent" : known(packet.out);
    case "pkttype":
      return { value: "host" };
    case "time":
    case "hour":
    case "day":
    case "random":
      return "client";
    default:
      return "unknown";
  }
}

function trackedOf(key: string, direction: unknown, packet: Packet): Value {
  switch (key) {
    case "state":
      return { value: packet.state };
    case "direction":
      return { value: "original" };
    case "status":
      return { value: packet.translated ? "dnat" : 0 };
    case "l4proto":
    case "protocol":
      return { value: packet.protocol };
    case "proto-dst":
      return direction === "original" ? known(packet.sentTo) : "unknown";
    default:
      return /saddr|proto-src/.test(key) ? "client" : "unknown";
  }
}

/** Whether a value is an element, a range, a prefix or a pattern's. */
export function fits(value: unknown, element: unknown): boolean {
  if (element === "*") return true;
  if (typeof element === "object" && element !== null) {
    const part = element as Json;
    if ("elem" in part) return fits(value, (part["elem"] as Json)["val"]);
    if ("concat" in part) {
      const parts = part["concat"] as unknown[];
      return Array.isArray(value) && parts.every((each, index) => fits(value[index], each));
    }
    if ("range" in part) {
      const [first, last] = part["range"] as readonly [unknown, unknown];
      return typeof value === "number" && Number(first) <= value && value <= Number(last);
    }
    if ("prefix" in part) {
      const { addr, len } = part["prefix"] as Json;
      return typeof value === "string" && within(value, `${String(addr)}/${String(len)}`);
    }
    return false;
  }
  if (typeof element === "string" && element.endsWith("*") && typeof value === "string")
    return value.startsWith(element.slice(0, -1));
  return value === element;
}
