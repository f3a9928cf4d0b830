import { Address } from "../../shared/address.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { NetlinkError, NetlinkSocket } from "../sys/netlink.ts";
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
  putBe32,
  text,
  valueOf,
} from "../sys/netlink-message.ts";
import { Prepared } from "../sys/prepared.ts";
import type { GrantKey } from "./grant-set.ts";
import { batch, INET, nft } from "./nft-message.ts";
import { TABLE } from "./nft-rules.ts";

/** nft set elements over netlink: linux/netfilter/nf_tables.h, enums nft_set_elem_attributes, nft_limit_attributes. Times in ms. */

const LIST = { table: 1, set: 2, elements: 3 };
const ELEMENT = { key: 1, timeout: 4, expiration: 5, expression: 7, expressions: 11 };
const LIMIT = { rate: 1, unit: 2, burst: 3, type: 4 };
const COUNTER_PACKETS = 2;
/** The limit refills one packet a week, the longest unit that nft can print: within a lifetime, none. */
const WEEK = 604_800;

/** Elements that come all the time must not keep anybody asking. */
const MOST_ROUNDS = 8;

/** A set in the kernel: its name and how its keys look. */
export interface KernelSet {
  readonly name: string;
  readonly family: 4 | 6;
  readonly port: boolean;
}

/** An element as the kernel holds it. */
export interface Element extends GrantKey {
  readonly remaining: number;
  /** In limit sets: packets that it still lets pass. */
  readonly left: number | undefined;
}

/** Puts an element in; one that is there is EEXIST. In limit sets `burst` packets pass. For use in a batch. */
export function newElement(
  set: KernelSet,
  key: GrantKey,
  timeout: number,
  burst: number | undefined,
): Message {
  const element = [
    nested(ELEMENT.key, attribute(1, keyBytes(set, key))),
    attribute(ELEMENT.timeout, be64(timeout)),
    ...(burst === undefined ? [] : [nested(ELEMENT.expressions, limit(burst), counter())]),
  ];
  return nft("newElement", INET, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, ...listOf(set, element));
}

/** What puts a new element into a plain set, ready to be sent: only the key and the time-out change. */
export class PreparedElement {
  readonly #prepared: Prepared;
  readonly #keyAt: number;
  readonly #timeoutAt: number;

  /** `alone`: without the batch around it, which the kernel refuses, and at once. For rehearsals. */
  constructor(set: KernelSet, alone: boolean) {
    const source = set.family === 4 ? Address.v4(new Uint8Array(4)) : new Address(new Uint8Array(16));
    const key = { source, sourcePort: set.port ? 1 : undefined };
    const message = newElement(set, key, 1, undefined);
    this.#prepared = new Prepared(alone ? [message] : batch(message));
    // The time-out is the last attribute, and the key the last before it.
    this.#timeoutAt = this.#prepared.end - 8;
    this.#keyAt = this.#timeoutAt - 4 - keyBytes(set, key).length;
  }

  /** The datagram for this key and time-out in ms; it is good until it is asked for the next time. */
  for({ source, sourcePort }: GrantKey, timeout: number): Prepared {
    const { bytes } = this.#prepared;
    const address = source.wire();
    bytes.set(address, this.#keyAt);
    if (sourcePort !== undefined) {
      bytes[this.#keyAt + address.length] = sourcePort >>> 8;
      bytes[this.#keyAt + address.length + 1] = sourcePort;
    }
    putBe32(bytes, this.#timeoutAt, Math.floor(timeout / 2 ** 32));
    putBe32(bytes, this.#timeoutAt + 4, timeout % 2 ** 32);
    return this.#prepared;
  }
}

/** Takes an element out; ENOENT when it is not there. For use in a batch. */
export function deleteElement(set: KernelSet, key: GrantKey): Message {
  const element = [nested(ELEMENT.key, attribute(1, keyBytes(set, key)))];
  return nft("deleteElement", INET, NLM_F_ACK, ...listOf(set, element));
}

/** One element by its key; ENOENT when it is not there. */
export function getElement(
  socket: Pick<NetlinkSocket, "request">,
  set: KernelSet,
  key: GrantKey,
): Result<Element | undefined, NetlinkError> {
  const element = [nested(ELEMENT.key, attribute(1, keyBytes(set, key)))];
  const parts = socket.request(nft("getElement", INET, NLM_F_ACK, ...listOf(set, element)));
  return parts.ok ? ok(parts.value.flatMap((part) => elementsIn(set, netfilterAttributes(part)))[0]) : parts;
}

/**
 * All elements of a set. The kernel gives a long list in parts, each of which goes on at the number where the last one ended:
 * where elements whose time is over are taken away in between, as many are skipped that are alive. So a list of several parts
 * is asked for again until nothing new comes.
 */
export function dumpElements(
  socket: Pick<NetlinkSocket, "dump">,
  set: KernelSet,
): Result<Element[], NetlinkError> {
  const name = [attribute(LIST.table, text(TABLE)), attribute(LIST.set, text(set.name))];
  const found = new Map<string, Element>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const parts = socket.dump(nft("getElement", INET, NLM_F_DUMP, ...name));
    if (!parts.ok) return parts;
    const before = found.size;
    for (const part of parts.value)
      for (const element of elementsIn(set, netfilterAttributes(part)))
        found.set(`${element.source.text} ${element.sourcePort ?? ""}`, element);
    if (parts.value.length <= 1 || found.size === before) break;
  }
  return ok([...found.values()]);
}

function listOf(set: KernelSet, element: readonly Uint8Array[]): Uint8Array[] {
  return [
    attribute(LIST.table, text(TABLE)),
    attribute(LIST.set, text(set.name)),
    nested(LIST.elements, nested(1, ...element)),
  ];
}

/** Each part of a concatenation is padded to 4 bytes. */
function keyBytes(set: KernelSet, { source, sourcePort }: GrantKey): Uint8Array {
  if (!set.port) return source.wire();
  return Uint8Array.of(...source.wire(), ...be16(sourcePort ?? 0), 0, 0);
}

function limit(burst: number): Uint8Array {
  const data = [
    attribute(LIMIT.rate, be64(1)),
    attribute(LIMIT.unit, be64(WEEK)),
    attribute(LIMIT.burst, be32(burst)),
    attribute(LIMIT.type, be32(0)),
  ];
  return nested(1, attribute(1, text("limit")), nested(2, ...data));
}

/** Counts what the limit let pass: a limit cannot be asked how much is left. */
function counter(): Uint8Array {
  return nested(
    1,
    attribute(1, text("counter")),
    nested(2, attribute(1, be64(0)), attribute(COUNTER_PACKETS, be64(0))),
  );
}

function elementsIn(set: KernelSet, message: readonly Attribute[]): Element[] {
  return attributesOf(valueOf(message, LIST.elements)).flatMap(([, bytes]) => {
    const element = attributesOf(bytes);
    const key = valueOf(attributesOf(valueOf(element, ELEMENT.key)), 1);
    const length = set.family === 4 ? 4 : 16;
    if (key === undefined || key.length < length) return [];
    const address = key.subarray(0, length);
    return [
      {
        source: set.family === 4 ? Address.v4(address) : new Address(address),
        sourcePort: set.port ? fromBe(key.subarray(length, length + 2)) : undefined,
        remaining: fromBe(valueOf(element, ELEMENT.expiration)),
        left: leftOf(element),
      },
    ];
  });
}

function leftOf(element: readonly Attribute[]): number | undefined {
  const expressions = attributesOf(valueOf(element, ELEMENT.expressions)).map(([, each]) =>
    attributesOf(each),
  );
  const dataOf = (name: string): Attribute[] =>
    attributesOf(valueOf(expressions.find((each) => fromText(valueOf(each, 1)) === name) ?? [], 2));
  const burst = valueOf(dataOf("limit"), LIMIT.burst);
  if (burst === undefined) return undefined;
  return Math.max(0, fromBe(burst) - fromBe(valueOf(dataOf("counter"), COUNTER_PACKETS)));
}
