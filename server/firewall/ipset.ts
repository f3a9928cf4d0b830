import { Address } from "../../shared/address.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { NetlinkError, NetlinkSocket } from "../sys/netlink.ts";
import { Prepared } from "../sys/prepared.ts";
import { putBe32 } from "../sys/netlink-message.ts";
import {
  type Attribute,
  attribute,
  attributesOf,
  be16,
  be32,
  be64,
  fromBe,
  fromText,
  type Message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  nested,
  netfilterAttributes,
  netfilterMessage,
  networkOrder,
  text,
  valueOf,
} from "../sys/netlink-message.ts";

/** ipset over netlink: linux/netfilter/ipset/ip_set.h. Time-outs are whole seconds. */

const SUBSYSTEM = 6;
const COMMAND = { create: 2, destroy: 3, list: 7, add: 9, delete: 10 };
const ATTR = { protocol: 1, name: 2, type: 3, revision: 4, family: 5, flags: 6, data: 7, list: 8 };
const DATA = {
  address: 1,
  port: 4,
  timeout: 6,
  protocol: 7,
  flags: 8,
  maxElements: 19,
  netmask: 20,
  packets: 25,
};
const PROTOCOL = attribute(ATTR.protocol, Uint8Array.of(6));
const WITH_COUNTERS = 8;
const LIST_NAMES = 2;
const MAX_ELEMENTS = 1_048_576;
/** First revisions of the types that know counters; every later kernel keeps them. */
const TYPES = { address: { name: "hash:ip", revision: 1 }, port: { name: "hash:ip,port", revision: 2 } };
/** The set is not there; an element that is not there is IPSET_ERR_EXIST. */
export const ENOENT = 2;
export const IPSET_ERR_EXIST = 4103;

export interface SetSpec {
  readonly name: string;
  readonly family: 4 | 6;
  readonly port: boolean;
  /** Addresses are looked up by the network of this prefix length. */
  readonly prefix: number | undefined;
  readonly counted: boolean;
}

export interface Entry {
  readonly source: Address;
  /** In sets keyed by port: the port and its IP protocol. */
  readonly port?: { readonly protocol: number; readonly number: number };
  readonly timeout: number;
  /** The packet counter, in sets that count. */
  readonly packets?: number;
}

type Outcome<T> = Result<T, NetlinkError>;

/** Makes a set; one of that name that is just like it is left as it is. */
export function createSet(socket: NetlinkSocket, set: SetSpec): Outcome<void> {
  const type = set.port ? TYPES.port : TYPES.address;
  const body = [
    PROTOCOL,
    attribute(ATTR.name, text(set.name)),
    attribute(ATTR.type, text(type.name)),
    attribute(ATTR.revision, Uint8Array.of(type.revision)),
    attribute(ATTR.family, Uint8Array.of(familyOf(set))),
    nested(
      ATTR.data,
      networkOrder(DATA.timeout, be32(0)),
      networkOrder(DATA.maxElements, be32(MAX_ELEMENTS)),
      ...(set.prefix === undefined ? [] : [attribute(DATA.netmask, Uint8Array.of(set.prefix))]),
      ...(set.counted ? [networkOrder(DATA.flags, be32(WITH_COUNTERS))] : []),
    ),
  ];
  return done(socket.request(message(COMMAND.create, NLM_F_ACK | NLM_F_CREATE, familyOf(set), ...body)));
}

/** Removes a set and what is in it. One that is not there is ok; one that a rule uses is IPSET_ERR_BUSY. */
export function destroySet(socket: NetlinkSocket, name: string): Outcome<void> {
  const outcome = socket.request(
    message(COMMAND.destroy, NLM_F_ACK, 0, PROTOCOL, attribute(ATTR.name, text(name))),
  );
  return !outcome.ok && outcome.error.code === ENOENT ? ok(undefined) : done(outcome);
}

/** Adds an entry. Without `replace` one that is there already is IPSET_ERR_EXIST; with it, time-out and counter become these. */
export function addEntry(
  socket: Pick<NetlinkSocket, "request">,
  set: SetSpec,
  entry: Entry,
  replace: boolean,
): Outcome<void> {
  const flags = NLM_F_ACK | (replace ? 0 : NLM_F_EXCL);
  return done(socket.request(message(COMMAND.add, flags, familyOf(set), ...entryAttributes(set, entry))));
}

/** What adds a new entry to a set of plain addresses, ready to be sent: only the address and the time-out change. */
export class PreparedEntry {
  readonly #prepared: Prepared;
  readonly #addressAt: number;
  readonly #timeoutAt: number;

  constructor(set: SetSpec) {
    const source = set.family === 4 ? Address.v4(new Uint8Array(4)) : new Address(new Uint8Array(16));
    const attributes = entryAttributes(set, { source, timeout: 1 });
    this.#prepared = new Prepared([
      message(COMMAND.add, NLM_F_ACK | NLM_F_EXCL, familyOf(set), ...attributes),
    ]);
    // The time-out is the last attribute, and the address, in one of its own, the last before: 4 bytes of header each.
    this.#timeoutAt = this.#prepared.end - 4;
    this.#addressAt = this.#timeoutAt - 4 - source.wire().length;
  }

  /** The message for this address and time-out in seconds; it is good until it is asked for the next time. */
  for(source: Address, timeout: number): Prepared {
    const { bytes } = this.#prepared;
    bytes.set(source.wire(), this.#addressAt);
    putBe32(bytes, this.#timeoutAt, timeout);
    return this.#prepared;
  }
}

/** Takes an entry out. IPSET_ERR_EXIST when it is not there. */
export function deleteEntry(socket: NetlinkSocket, set: SetSpec, entry: Entry): Outcome<void> {
  const flags = NLM_F_ACK | NLM_F_EXCL;
  return done(socket.request(message(COMMAND.delete, flags, familyOf(set), ...entryAttributes(set, entry))));
}

/** The names of all sets of this network namespace. */
export function listNames(socket: NetlinkSocket): Outcome<string[]> {
  const flags = networkOrder(ATTR.flags, be32(LIST_NAMES));
  const parts = socket.dump(message(COMMAND.list, NLM_F_DUMP, 0, PROTOCOL, flags));
  return parts.ok
    ? ok(parts.value.map((part) => fromText(valueOf(netfilterAttributes(part), ATTR.name))))
    : parts;
}

/** All entries of a set. */
export function dumpSet(socket: NetlinkSocket, set: SetSpec): Outcome<Entry[]> {
  const name = attribute(ATTR.name, text(set.name));
  const parts = socket.dump(message(COMMAND.list, NLM_F_DUMP, 0, PROTOCOL, name));
  if (!parts.ok) return parts;
  const entries = parts.value.flatMap((part) =>
    attributesOf(valueOf(netfilterAttributes(part), ATTR.list)).map(([, each]) =>
      entryOf(set, attributesOf(each)),
    ),
  );
  return ok(entries);
}

function entryAttributes(set: SetSpec, { source, port, timeout, packets }: Entry): Uint8Array[] {
  const address = networkOrder(set.family === 4 ? 1 : 2, source.wire());
  const data = [
    nested(DATA.address, address),
    ...(port === undefined ? [] : [networkOrder(DATA.port, be16(port.number))]),
    ...(port === undefined ? [] : [attribute(DATA.protocol, Uint8Array.of(port.protocol))]),
    ...(timeout > 0 ? [networkOrder(DATA.timeout, be32(timeout))] : []),
    ...(packets === undefined ? [] : [networkOrder(DATA.packets, be64(packets))]),
  ];
  return [PROTOCOL, attribute(ATTR.name, text(set.name)), nested(ATTR.data, ...data)];
}

function entryOf(set: SetSpec, data: readonly Attribute[]): Entry {
  const address = valueOf(attributesOf(valueOf(data, DATA.address)), set.family === 4 ? 1 : 2);
  const bytes = address ?? new Uint8Array(set.family === 4 ? 4 : 16);
  return {
    source: set.family === 4 ? Address.v4(bytes) : new Address(bytes),
    timeout: fromBe(valueOf(data, DATA.timeout)),
    ...(set.port && {
      port: { protocol: fromBe(valueOf(data, DATA.protocol)), number: fromBe(valueOf(data, DATA.port)) },
    }),
    ...(set.counted && { packets: fromBe(valueOf(data, DATA.packets)) }),
  };
}

function familyOf(set: SetSpec): number {
  return set.family === 4 ? 2 : 10;
}

function message(command: number, flags: number, family: number, ...attributes: Uint8Array[]): Message {
  return netfilterMessage(SUBSYSTEM, command, { family, flags }, ...attributes);
}

function done(outcome: Outcome<unknown>): Outcome<void> {
  return outcome.ok ? ok(undefined) : err(outcome.error);
}
