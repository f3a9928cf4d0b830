import type { Address } from "../../shared/address.ts";
import type { ServiceName, TimeStep } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Firewall, GuardPlan, GuardState, OpenGrant } from "../core/firewall.ts";
import type { KnockRules, StepWalks, Win } from "../core/knock-rules.ts";
import { doorNamed, stepChain, stepOfChain, WALK_CHAIN, walkList, WON_LIST, wonIn } from "../rules/names.ts";
import { type Protocol, recentChains, walkJumps } from "../rules/recent.ts";
import { NetlinkSocket } from "../sys/netlink.ts";
import type { Log } from "./command.ts";
import { refusal } from "./errors.ts";
import { adoptConnections } from "./established.ts";
import { shapeOf } from "./guard.ts";
import type { IptablesOptions } from "./iptables.ts";
import { IptablesTables } from "./iptables-tables.ts";
import { destroyGrantSets, removeGuardsBeside } from "./other-guards.ts";
import { parseRecent, readRecent, recentNames, recentRoom, writeRecent } from "./recent-lists.ts";
import { watchRules } from "./watch.ts";

/** A door that was seen open, and until when it can be so at most, on the monotonic clock. */
interface Seen {
  readonly stamp: string;
  readonly until: number;
}

/**
 * The guard of the iptables backend, with doors that rules open: the kernel follows knocks by itself, and remembers by xt_recent
 * alone. So nothing but iptables is needed; what a list of xt_recent cannot do (counting connections, source ports) is not to be had.
 */
export class RecentFirewall implements Firewall, KnockRules {
  readonly name = "iptables";
  /** A sequence used over one family is free over the other until we have seen it. */
  readonly pollMillis = 50;
  readonly mostDevices = 64;
  readonly room = recentRoom();
  readonly #socket: NetlinkSocket;
  readonly #tables: IptablesTables;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #protocols: readonly Protocol[];
  readonly #doors = new Map<string, Seen>();
  #won = "";
  #wins: readonly Win[] = [];

  private constructor(socket: NetlinkSocket, options: IptablesOptions, protocols: readonly Protocol[]) {
    const { variant = "", log, now } = options;
    this.#socket = socket;
    this.#log = log;
    this.#now = now;
    this.#protocols = protocols;
    this.#tables = new IptablesTables({ variant, socket, log });
  }

  /** Changes nothing yet. `protocols` are those that knock. */
  static open(options: IptablesOptions, protocols: readonly Protocol[]): Result<RecentFirewall> {
    const socket = NetlinkSocket.open();
    return socket.ok
      ? ok(new RecentFirewall(socket.value, options, protocols))
      : err(refusal("netlink socket", socket.error));
  }

  guardOn(plan: GuardPlan): Result<void> {
    const shape = shapeOf(plan);
    adoptConnections(this.#socket, shape, this.#log);
    const put = this.#tables.put(shape);
    if (!put.ok) return put;
    const alone = removeGuardsBeside(this.#tables, this.#socket, this.#log);
    if (!alone.ok) return alone;
    const cleared = destroyGrantSets(this.#socket);
    if (!cleared.ok) return cleared;
    const state = this.guardState(plan);
    if (!state.ok || state.value === "on") return state.ok ? ok(undefined) : state;
    const message = "guard: it was put in, and is not there as it should be";
    return err(new TockError("firewall", message, "is another program changing the table mangle?"));
  }

  guardOff(): Result<void> {
    const gone = this.#tables.remove();
    if (!gone.ok) return gone;
    const alone = removeGuardsBeside(this.#tables, this.#socket, this.#log);
    return alone.ok ? destroyGrantSets(this.#socket) : alone;
  }

  guardState(plan: GuardPlan): Result<GuardState> {
    return this.#tables.state(shapeOf(plan));
  }

  /** Doors are opened by the kernel alone. */
  rehearse(): void {
    // Nothing is opened by the daemon here.
  }

  open(): Result<void> {
    return err(new TockError("firewall", "grant: the kernel engine opens by knocks alone"));
  }

  close(service: ServiceName, source: Address): Result<void> {
    for (const list of recentNames()) {
      if (doorNamed(list)?.service === service) writeRecent(list, "-", source.text);
    }
    return ok(undefined);
  }

  /** The kernel does not say when a door was opened in terms of any clock: `remaining` is the most that it can be. */
  list(): Result<OpenGrant[]> {
    const now = this.#now();
    const open: OpenGrant[] = [];
    for (const list of recentNames()) {
      const door = doorNamed(list);
      if (door === undefined) continue;
      for (const { source, stamp } of parseRecent(readRecent(list))) {
        const key = `${list} ${source.text}`;
        const known = this.#doors.get(key);
        const until = known?.stamp === stamp ? known.until : now + door.seconds * 1000;
        this.#doors.set(key, { stamp, until });
        const service = door.service as ServiceName;
        if (until > now)
          open.push({ service, source, prefix: undefined, sourcePort: undefined, remaining: until - now });
      }
    }
    return ok(open);
  }

  watch(changed: () => void): () => void {
    return watchRules(changed, this.#log);
  }

  dispose(): void {
    this.#socket.close();
  }

  held(): Result<readonly TimeStep[] | undefined> {
    const all: Set<TimeStep>[] = [];
    for (const table of this.#tables.guards) {
      const held = table.walks();
      if (!held.ok || held.value === undefined) return held as Result<undefined>;
      const { walks, ruled } = held.value;
      const steps = walks.flatMap((chain) => stepOfChain(chain) ?? []);
      // Somebody may have flushed the table and left its chains.
      all.push(new Set(steps.filter((step) => ruled.has(stepChain(step)) && ruled.has(WALK_CHAIN))));
    }
    const [first, ...others] = all;
    return ok([...(first ?? [])].filter((step) => others.every((steps) => steps.has(step))));
  }

  replace(put: readonly StepWalks[], keep: readonly StepWalks[]): Result<void> {
    for (const table of this.#tables.guards) {
      const held = table.walks();
      if (!held.ok) return held;
      if (held.value === undefined) return ok(undefined);
      const chains = new Map([
        ...put.flatMap((step) => [...recentChains(step, table.family, this.#protocols)]),
        ...walkJumps([...keep, ...put].toSorted((a, b) => a.step - b.step)),
      ]);
      const stays = new Set(keep.map(({ step }) => step));
      const gone = held.value.walks.filter((chain) => {
        const step = stepOfChain(chain);
        return step !== undefined && !stays.has(step) && !chains.has(chain);
      });
      const done = table.changeWalks(transaction(chains, gone));
      if (!done.ok) return done;
    }
    return ok(undefined);
  }

  wins(): Result<readonly Win[]> {
    const won = readRecent(WON_LIST);
    if (won === this.#won) return ok(this.#wins);
    this.#wins = recentNames().flatMap((list) => {
      const id = wonIn(list);
      return id === undefined ? [] : parseRecent(readRecent(list)).map(({ source }) => ({ id, source }));
    });
    this.#won = won;
    return ok(this.#wins);
  }

  burn(id: string): Result<void> {
    const list = walkList(id, "used");
    // An entry that is there before the first try makes it look like the second.
    for (const everybody of ["0.0.0.0", "::"]) writeRecent(list, "+", everybody);
    return ok(undefined);
  }
}

/** Lines that make or replace chains and remove others. */
function transaction(chains: ReadonlyMap<string, readonly string[]>, gone: readonly string[]): string[] {
  return [
    ...[...chains.keys()].map((chain) => `:${chain} - [0:0]`),
    ...[...chains].flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
    ...gone.map((chain) => `-F ${chain}`),
    ...gone.map((chain) => `-X ${chain}`),
  ];
}
