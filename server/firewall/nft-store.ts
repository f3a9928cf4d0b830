import { err, ok, type Result } from "../../shared/result.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import {
  attribute,
  fromText,
  NLM_F_DUMP,
  netfilterAttributes,
  text,
  valueOf,
} from "../sys/netlink-message.ts";
import { Deadlines, entryName } from "./deadlines.ts";
import { refusal } from "./errors.ts";
import {
  type GrantKey,
  type GrantSet,
  type GrantStore,
  type HeldGrant,
  nameOf,
  setNamed,
} from "./grant-set.ts";
import {
  deleteElement,
  dumpElements,
  getElement,
  type KernelSet,
  newElement,
  PreparedElement,
} from "./nft-elements.ts";
import { batch, INET, nft } from "./nft-message.ts";
import { kernelSets, limitNameOf, TABLE } from "./nft-rules.ts";

const ENOENT = 2;
const EEXIST = 17;
/** The kernel's limit counts in u64 nanoseconds, and a week is 6·10^14 of them. */
const MOST_CONNECTIONS = 10_000;

/**
 * Grants as elements of nft sets. What is remembered is only a hint which of two ways of adding is the quick one: the kernel
 * can be asked for one element, and is where it matters.
 */
export class NftStore implements GrantStore {
  readonly #socket: () => NetlinkSocket;
  readonly #now: () => number;
  readonly #isRehearsal: boolean;
  readonly #deadlines: Deadlines;
  readonly #prepared = new Map<string, PreparedElement>();

  /** `socket` gives the socket in use: it changes when the table's ownership does. `now` is a monotonic clock in ms. */
  constructor(socket: () => NetlinkSocket, now: () => number, isRehearsal = false) {
    this.#socket = socket;
    this.#now = now;
    this.#isRehearsal = isRehearsal;
    this.#deadlines = new Deadlines(now);
  }

  sets(): Result<GrantSet[]> {
    const names = this.names();
    return names.ok ? ok(names.value.flatMap((name) => setNamed(name) ?? [])) : names;
  }

  /** The names of all named sets in the table. */
  names(): Result<string[]> {
    const parts = this.#socket().dump(nft("getSet", INET, NLM_F_DUMP, attribute(1, text(TABLE))));
    if (!parts.ok) return parts.error.code === ENOENT ? ok([]) : err(refusal("nft list sets", parts.error));
    const names = parts.value.map((part) => fromText(valueOf(netfilterAttributes(part), 2)));
    return ok(names.filter((name) => !name.startsWith("__")));
  }

  /** Most grants are new. A batch that is refused costs the kernel an RCU grace period, some 10 ms. */
  add(set: GrantSet, key: GrantKey, lifetime: number, connections: number): Result<void> {
    const entry = entryName(set, key);
    const deadline = this.#now() + lifetime * 1000;
    let added: Result<void> | undefined;
    if (!set.counted && !this.#deadlines.isOpen(entry)) added = this.#addNew(set, key, lifetime);
    added ??= this.#addAgain(set, key, lifetime, connections);
    if (added.ok) this.#deadlines.set(entry, Math.max(deadline, this.#deadlines.get(entry) ?? 0));
    return added;
  }

  /** Undefined = it is there, put in by an earlier process. */
  #addNew(set: GrantSet, key: GrantKey, lifetime: number): Result<void> | undefined {
    const name = nameOf(set);
    let prepared = this.#prepared.get(name);
    if (prepared === undefined) {
      prepared = new PreparedElement({ name, family: set.family, port: set.port }, this.#isRehearsal);
      this.#prepared.set(name, prepared);
    }
    const refused = this.#socket().confirm(prepared.for(key, lifetime * 1000));
    if (refused === undefined) return ok(undefined);
    return refused.code === EEXIST ? undefined : err(refusal(`nft add element ${name}`, refused));
  }

  /**
   * The kernel is asked what it has. Kernels before 6.12 do not extend an element that is added again, so it is taken out
   * and put back in one batch.
   */
  #addAgain(set: GrantSet, key: GrantKey, lifetime: number, connections: number): Result<void> {
    for (let attempt = 0; ; attempt++) {
      const held = this.#find(set, key);
      if (!held.ok) return held;
      const { remaining = 0, left = 0 } = held.value ?? {};
      const timeout = Math.max(remaining, lifetime * 1000);
      if (held.value !== undefined && !set.counted && remaining >= timeout) return ok(undefined);
      const wanted = { timeout, connections: Math.min(MOST_CONNECTIONS, left + connections) };
      const messages = elements(set).flatMap((each) => [
        ...(held.value === undefined ? [] : [deleteElement(each.set, key)]),
        each.make(key, wanted),
      ]);
      const added = this.#socket().request(...batch(...messages));
      if (added.ok) return ok(undefined);
      // It may have ended between the two: then it is new after all.
      if (added.error.code !== ENOENT || held.value === undefined || attempt > 0) {
        return err(refusal(`nft add element ${nameOf(set)}`, added.error));
      }
    }
  }

  remove(set: GrantSet, key: GrantKey): Result<void> {
    this.#deadlines.delete(entryName(set, key));
    const held = this.#find(set, key);
    if (!held.ok || held.value === undefined) return held.ok ? ok(undefined) : held;
    const gone = this.#socket().request(
      ...batch(...elements(set).map((each) => deleteElement(each.set, key))),
    );
    if (gone.ok || gone.error.code === ENOENT) return ok(undefined);
    return err(refusal(`nft delete element ${nameOf(set)}`, gone.error));
  }

  dump(set: GrantSet): Result<HeldGrant[]> {
    const source = elements(set).at(-1)?.set;
    const held = source === undefined ? ok([]) : dumpElements(this.#socket(), source);
    return held.ok ? held : err(refusal(`nft list set ${nameOf(set)}`, held.error));
  }

  #find(set: GrantSet, key: GrantKey): Result<HeldGrant | undefined> {
    const source = elements(set).at(-1)?.set;
    const held = source === undefined ? ok(undefined) : getElement(this.#socket(), source, key);
    if (held.ok) return held;
    // ENOENT is an element that is not there; a set that is not there shows when the element is added.
    return held.error.code === ENOENT
      ? ok(undefined)
      : err(refusal(`nft get element ${nameOf(set)}`, held.error));
  }
}

interface Wanted {
  readonly timeout: number;
  readonly connections: number;
}

interface Part {
  readonly set: KernelSet;
  make(key: GrantKey, wanted: Wanted): ReturnType<typeof newElement>;
}

/** The kernel sets behind a grant set; the one that counts, if any, comes last. */
function elements(set: GrantSet): Part[] {
  return kernelSets(set).map((name) => {
    const kernelSet = { name, family: set.family, port: set.port };
    const counts = set.counted && name === limitNameOf(set);
    return {
      set: kernelSet,
      make: (key, { timeout, connections }) =>
        newElement(kernelSet, key, timeout, counts ? connections : undefined),
    };
  });
}
