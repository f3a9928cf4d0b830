import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Entry, Firewall, GuardPlan, GuardState, OpenGrant } from "../core/firewall.ts";
import type { Grant } from "../core/grant.ts";
import { NetlinkSocket } from "../sys/netlink.ts";
import type { Log } from "./command.ts";
import { refusal } from "./errors.ts";
import { adoptConnections } from "./established.ts";
import { nameOf, setsOf } from "./grant-set.ts";
import { closeGrants, listGrants, openGrant, staleSets } from "./grants.ts";
import { type Shape, shapeOf } from "./guard.ts";
import { IpsetStore } from "./ipset-store.ts";
import type { Variant } from "./iptables-table.ts";
import { IptablesTables } from "./iptables-tables.ts";
import { generationOf } from "./nft-generation.ts";
import { removeGuardsBeside } from "./other-guards.ts";
import { watchRules } from "./watch.ts";

export interface IptablesOptions {
  /** Which iptables programs: `iptables-restore` ("", what the machine's alternatives say), `iptables-legacy-restore`, `iptables-nft-restore`. */
  readonly variant?: Variant;
  readonly log: Log;
  /** A monotonic clock in ms. */
  readonly now: () => number;
}

/**
 * The guard as rules of the table mangle, hooked into PREROUTING (priority -150: before any redirection, so a redirected or published
 * port is guarded by its outside number), and grants as ipset elements written by netlink. What leads to other hosts has rules in the
 * tables nat and filter too.
 */
export class IptablesFirewall implements Firewall {
  readonly name = "iptables";
  readonly #socket: NetlinkSocket;
  readonly #store: IpsetStore;
  readonly #tables: IptablesTables;
  readonly #log: Log;

  private constructor(socket: NetlinkSocket, { variant = "", log, now }: IptablesOptions) {
    this.#socket = socket;
    this.#store = new IpsetStore(socket, now);
    this.#log = log;
    this.#tables = new IptablesTables({ variant, socket, log });
  }

  /** Opens the netlink socket; changes nothing. */
  static open(options: IptablesOptions): Result<IptablesFirewall> {
    const socket = NetlinkSocket.open();
    return socket.ok
      ? ok(new IptablesFirewall(socket.value, options))
      : err(refusal("netlink socket", socket.error));
  }

  guardOn(plan: GuardPlan): Result<void> {
    const shape = shapeOf(plan);
    adoptConnections(this.#socket, shape, this.#log);
    for (const { name } of plan.services) {
      const made = this.#store.create(name, shape.widths);
      if (!made.ok) return made;
    }
    const put = this.#tables.put(shape);
    if (!put.ok) return put;
    const alone = removeGuardsBeside(this.#tables, this.#socket, this.#log);
    if (!alone.ok) return alone;
    const cleared = this.#destroyStale(shape.services.flatMap(({ name }) => setsOf(name, shape.widths)));
    if (!cleared.ok) return cleared;
    const state = this.#state(shape);
    if (!state.ok || state.value === "on") return state.ok ? ok(undefined) : state;
    return err(
      new TockError(
        "firewall",
        "guard: it was put in, and is not there as it should be",
        "is another program changing the tables of iptables?",
      ),
    );
  }

  guardOff(): Result<void> {
    const gone = this.#tables.remove();
    if (!gone.ok) return gone;
    const alone = removeGuardsBeside(this.#tables, this.#socket, this.#log);
    return alone.ok ? this.#destroyStale([]) : alone;
  }

  guardState(plan: GuardPlan): Result<GuardState> {
    return this.#state(shapeOf(plan));
  }

  open(grant: Grant): Result<void> {
    return openGrant(this.#store, grant);
  }

  rehearse(grant: Grant): void {
    openGrant(this.#store, grant);
  }

  close(service: Grant["service"]["name"], source: Grant["source"], only?: Entry): Result<void> {
    return closeGrants(this.#store, service, source, only);
  }

  list(): Result<OpenGrant[]> {
    return listGrants(this.#store);
  }

  watch(changed: () => void): () => void {
    return watchRules(changed, this.#log, () =>
      this.#tables.inNft ? generationOf(this.#socket) : undefined,
    );
  }

  dispose(): void {
    this.#socket.close();
  }

  #state(shape: Shape): Result<GuardState> {
    const state = this.#tables.state(shape);
    if (!state.ok || state.value !== "on") return state;
    const sets = this.#store.sets();
    if (!sets.ok) return sets;
    const names = new Set(sets.value.map(nameOf));
    const complete = shape.services.every(({ name }) =>
      setsOf(name, shape.widths).every((set) => names.has(nameOf(set))),
    );
    return ok(complete ? "on" : "damaged");
  }

  #destroyStale(keep: Parameters<typeof staleSets>[1]): Result<void> {
    const stale = staleSets(this.#store, keep);
    if (!stale.ok) return stale;
    for (const set of stale.value) {
      const gone = this.#store.destroy(set);
      if (!gone.ok) return gone;
    }
    return ok(undefined);
  }
}
