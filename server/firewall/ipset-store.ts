import { err, ok, type Result } from "../../shared/result.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import type { Width } from "../core/firewall.ts";
import { Deadlines, entryName } from "./deadlines.ts";
import { refusal } from "./errors.ts";
import {
  type GrantKey,
  type GrantSet,
  type GrantStore,
  type HeldGrant,
  nameOf,
  setNamed,
  setsOf,
} from "./grant-set.ts";
import {
  addEntry,
  createSet,
  deleteEntry,
  destroySet,
  dumpSet,
  ENOENT,
  type Entry,
  IPSET_ERR_EXIST,
  listNames,
  PreparedEntry,
  type SetSpec,
} from "./ipset.ts";

/**
 * The guard's rule lets a new connection in while the element's packet counter, that connection included, is below this.
 * A grant of N connections therefore starts N + 1 below it.
 */
export const COUNTER_LIMIT = 1_000_000;
const MOST_CONNECTIONS = 65_535;
/** ipset's time-outs end at (2^32 - 1) / 2 ms. */
const LONGEST = 2_147_483;
/** hash:ip,port elements name a protocol; the guard's service chain sees only the protocols that the service has. */
const PROTOCOLS = [6, 17];

/** Grants as ipset elements. ipset cannot be asked for one element, so deadlines are remembered, and dumped when not known. */
export class IpsetStore implements GrantStore {
  readonly #socket: NetlinkSocket;
  readonly #now: () => number;
  readonly #deadlines: Deadlines;
  readonly #prepared = new Map<string, PreparedEntry>();

  /** `now` is a monotonic clock in ms. */
  constructor(socket: NetlinkSocket, now: () => number) {
    this.#socket = socket;
    this.#now = now;
    this.#deadlines = new Deadlines(now);
  }

  sets(): Result<GrantSet[]> {
    const names = listNames(this.#socket);
    if (!names.ok) return err(refusal("ipset list", names.error));
    return ok(names.value.flatMap((name) => setNamed(name) ?? []));
  }

  /** Makes every set of a service that is not there yet. */
  create(service: GrantSet["service"], widths: readonly Width[]): Result<void> {
    for (const set of setsOf(service, widths)) {
      const made = createSet(this.#socket, specOf(set));
      if (!made.ok) return err(refusal(`ipset create ${nameOf(set)}`, made.error));
    }
    return ok(undefined);
  }

  destroy(set: GrantSet): Result<void> {
    const gone = destroySet(this.#socket, nameOf(set));
    return gone.ok ? gone : err(refusal(`ipset destroy ${nameOf(set)}`, gone.error));
  }

  add(set: GrantSet, key: GrantKey, lifetime: number, connections: number): Result<void> {
    const made: Entry[] = [];
    for (const entry of entriesOf(key)) {
      const added = this.#addOne(set, { ...entry, timeout: Math.min(lifetime, LONGEST) }, connections);
      if (!added.ok) {
        // A half of a grant would be open without an owner. What was there before has one.
        for (const each of made) this.#removeOne(set, each);
        return added;
      }
      if (added.value) made.push(entry);
    }
    return ok(undefined);
  }

  remove(set: GrantSet, key: GrantKey): Result<void> {
    for (const entry of entriesOf(key)) {
      const gone = this.#removeOne(set, entry);
      if (!gone.ok) return gone;
    }
    return ok(undefined);
  }

  #removeOne(set: GrantSet, entry: Entry): Result<void> {
    const gone = deleteEntry(this.#socket, specOf(set), entry);
    if (!gone.ok && gone.error.code !== IPSET_ERR_EXIST && gone.error.code !== ENOENT)
      return err(refusal(`ipset del ${nameOf(set)}`, gone.error));
    this.#deadlines.delete(memoryKey(set, entry));
    return ok(undefined);
  }

  dump(set: GrantSet): Result<HeldGrant[]> {
    const entries = this.#dump(set);
    if (!entries.ok) return entries;
    return ok(
      entries.value.map(({ source, port, timeout, packets }) => ({
        source,
        sourcePort: port?.number,
        remaining: timeout * 1000,
        left: packets === undefined ? undefined : Math.max(0, COUNTER_LIMIT - 1 - packets),
      })),
    );
  }

  /** True where the entry was not there before. */
  #addOne(set: GrantSet, entry: Entry, connections: number): Result<boolean> {
    const wanted = this.#now() + entry.timeout * 1000;
    const added = this.#addNew(set, entry, connections);
    if (added.ok || added.error.code !== IPSET_ERR_EXIST) {
      const settled = this.#settle(set, entry, wanted, added);
      return settled.ok ? ok(true) : settled;
    }

    const left = set.counted ? this.#left(set, entry) : ok(0);
    if (!left.ok) return left;
    const deadline = this.#deadline(set, entry);
    if (!deadline.ok) return deadline;
    if (!set.counted && deadline.value >= wanted) return ok(false);
    const until = Math.max(deadline.value, wanted);
    const timeout = Math.min(LONGEST, Math.ceil((until - this.#now()) / 1000));
    const most = Math.min(MOST_CONNECTIONS, left.value + connections);
    const replaced = addEntry(this.#socket, specOf(set), counting(set, { ...entry, timeout }, most), true);
    const settled = this.#settle(set, entry, until, replaced);
    return settled.ok ? ok(false) : settled;
  }

  /** Most sets are of plain addresses, and most grants are new. */
  #addNew(set: GrantSet, entry: Entry, connections: number): ReturnType<typeof addEntry> {
    if (set.counted || set.port)
      return addEntry(this.#socket, specOf(set), counting(set, entry, connections), false);
    const name = nameOf(set);
    let prepared = this.#prepared.get(name);
    if (prepared === undefined) this.#prepared.set(name, (prepared = new PreparedEntry(specOf(set))));
    const refused = this.#socket.confirm(prepared.for(entry.source, entry.timeout));
    return refused === undefined ? ok(undefined) : err(refused);
  }

  #settle(set: GrantSet, entry: Entry, deadline: number, outcome: ReturnType<typeof addEntry>): Result<void> {
    if (!outcome.ok) return err(refusal(`ipset add ${nameOf(set)}`, outcome.error));
    this.#deadlines.set(memoryKey(set, entry), deadline);
    return ok(undefined);
  }

  /** When the kernel drops the entry; dumps the set when that was not written by this process. */
  #deadline(set: GrantSet, entry: Entry): Result<number> {
    const known = this.#deadlines.get(memoryKey(set, entry));
    if (known !== undefined) return ok(known);
    const held = this.#dump(set);
    if (!held.ok) return held;
    // The kernel rounds down to whole seconds: one more never shortens.
    for (const each of held.value) {
      const key = memoryKey(set, each);
      if (this.#deadlines.get(key) === undefined)
        this.#deadlines.set(key, this.#now() + (each.timeout + 1) * 1000);
    }
    return ok(this.#deadlines.get(memoryKey(set, entry)) ?? 0);
  }

  #left(set: GrantSet, entry: Entry): Result<number> {
    const held = this.#dump(set);
    if (!held.ok) return held;
    const key = memoryKey(set, entry);
    const packets = held.value.find((each) => memoryKey(set, each) === key)?.packets ?? COUNTER_LIMIT;
    return ok(Math.max(0, COUNTER_LIMIT - 1 - packets));
  }

  #dump(set: GrantSet): Result<Entry[]> {
    const entries = dumpSet(this.#socket, specOf(set));
    return entries.ok ? entries : err(refusal(`ipset list ${nameOf(set)}`, entries.error));
  }
}

function specOf(set: GrantSet): SetSpec {
  const { family, port, prefix, counted } = set;
  return { name: nameOf(set), family, port, prefix, counted };
}

function entriesOf({ source, sourcePort }: GrantKey): Entry[] {
  if (sourcePort === undefined) return [{ source, timeout: 0 }];
  return PROTOCOLS.map((protocol) => ({ source, port: { protocol, number: sourcePort }, timeout: 0 }));
}

function counting(set: GrantSet, entry: Entry, connections: number): Entry {
  return set.counted ? { ...entry, packets: COUNTER_LIMIT - 1 - connections } : entry;
}

function memoryKey(set: GrantSet, { source, port }: Entry): string {
  return entryName(set, { source, sourcePort: port?.number }, port?.protocol);
}
