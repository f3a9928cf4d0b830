import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Entry, Firewall, GuardPlan, GuardState, OpenGrant } from "../core/firewall.ts";
import type { Grant } from "../core/grant.ts";
import { NetlinkSocket } from "../sys/netlink.ts";
import { NFT_WALK, nftRemoval, stepOfNft } from "../rules/nft.ts";
import { type Log, runCommand } from "./command.ts";
import { refusal } from "./errors.ts";
import { adoptConnections } from "./established.ts";
import { setsOf } from "./grant-set.ts";
import { closeGrants, listGrants, openGrant } from "./grants.ts";
import { marksOf, type Shape, sameMarks, shapeOf } from "./guard.ts";
import { generationOf } from "./nft-generation.ts";
import { GUARD_CHAIN, kernelSets, nftChains, nftScript } from "./nft-rules.ts";
import { NftStore } from "./nft-store.ts";
import { deleteTable, type HeldTable, ownTable, readTable } from "./nft-table.ts";
import { removeOtherGuards } from "./other-guards.ts";
import { watchRules } from "./watch.ts";

export interface NftablesOptions {
  readonly log: Log;
  /** A monotonic clock in ms. */
  readonly now: () => number;
}

/**
 * The guard as a table of its own, `inet tock`, and grants as elements of its sets, written by netlink.
 *
 * `nft flush ruleset` of any other program would take an ordinary table away. Where the kernel can (Linux 6.9), the table is therefore
 * owned by this process's socket, and stays when the process dies. To change its rules, it is let go of for the moment that nft takes.
 */
export class NftablesFirewall implements Firewall {
  readonly name = "nftables";
  #socket: NetlinkSocket;
  readonly #store: NftStore;
  /** A batch that is refused costs the kernel 10 ms; an element that stands alone is refused at once. */
  readonly #stage: NftStore;
  readonly #log: Log;
  #owned = false;

  private constructor(socket: NetlinkSocket, { log, now }: NftablesOptions) {
    this.#socket = socket;
    this.#store = new NftStore(() => this.#socket, now);
    this.#stage = new NftStore(() => this.#socket, now, true);
    this.#log = log;
  }

  /** Opens the netlink socket; changes nothing. */
  static open(options: NftablesOptions): Result<NftablesFirewall> {
    const socket = NetlinkSocket.open();
    return socket.ok
      ? ok(new NftablesFirewall(socket.value, options))
      : err(refusal("netlink socket", socket.error));
  }

  guardOn(plan: GuardPlan): Result<void> {
    const shape = shapeOf(plan);
    adoptConnections(this.#socket, shape, this.#log);
    const held = this.#read();
    if (!held.ok) return held;
    const same = held.value !== undefined && this.#whole(held.value, shape);
    if (!same) {
      const put = this.#put(shape, held.value !== undefined);
      if (!put.ok) return put;
    }
    if (!this.#owned) {
      this.#owned = ownTable(this.#socket);
      if (!this.#owned)
        this.#log("the table inet tock is an ordinary one: it is put back when somebody flushes it");
    }
    const alone = removeOtherGuards("table", this.#socket, this.#log);
    if (!alone.ok) return alone;
    const state = this.#state(shape);
    if (!state.ok || state.value === "on") return state.ok ? ok(undefined) : state;
    return err(
      new TockError(
        "firewall",
        "guard: it was put in, and is not there as it should be",
        "is another program changing the table inet tock?",
      ),
    );
  }

  guardOff(): Result<void> {
    this.#log("[#] nft delete table inet tock");
    const gone = deleteTable(this.#socket);
    if (!gone.ok) return err(refusal("nft delete table inet tock", gone.error));
    this.#owned = false;
    return removeOtherGuards("table", this.#socket, this.#log);
  }

  guardState(plan: GuardPlan): Result<GuardState> {
    return this.#state(shapeOf(plan));
  }

  open(grant: Grant): Result<void> {
    return openGrant(this.#store, grant);
  }

  rehearse(grant: Grant): void {
    openGrant(this.#stage, grant);
  }

  close(service: Grant["service"]["name"], source: Grant["source"], only?: Entry): Result<void> {
    return closeGrants(this.#store, service, source, only);
  }

  list(): Result<OpenGrant[]> {
    return listGrants(this.#store);
  }

  watch(changed: () => void): () => void {
    return watchRules(changed, this.#log, () => generationOf(this.#socket));
  }

  dispose(): void {
    this.#socket.close();
  }

  #read(): Result<HeldTable | undefined> {
    const held = readTable(this.#socket);
    return held.ok ? held : err(refusal("nft list table inet tock", held.error));
  }

  #state(shape: Shape): Result<GuardState> {
    const held = this.#read();
    if (!held.ok) return held;
    if (held.value === undefined) return ok("off");
    const names = this.#store.names();
    if (!names.ok) return names;
    const there = new Set(names.value);
    const complete = wantedSets(shape).every((name) => there.has(name));
    return ok(complete && this.#whole(held.value, shape) ? "on" : "damaged");
  }

  #whole(held: HeldTable, shape: Shape): boolean {
    const marks = new Map([...held.marks].filter(([chain]) => !isWalk(chain)));
    return held.misplaced.length === 0 && !held.dormant && sameMarks(marks, marksOf(nftChains(shape)));
  }

  #put(shape: Shape, exists: boolean): Result<void> {
    const names = this.#store.names();
    if (!names.ok) return names;
    const wanted = new Set(wantedSets(shape));
    const chains = nftChains(shape);
    const reopened = this.#letGo(!exists);
    if (!reopened.ok) return reopened;
    const found = this.#read();
    if (!found.ok) return found;
    const there = [...(found.value?.marks.keys() ?? [])];
    const walks =
      shape.walk === undefined ? nftRemoval(there.filter(isWalk), names.value.filter(isWalk)) : [];
    const misplaced = found.value?.misplaced ?? [];
    const isStale = (name: string): boolean => !chains.has(name) && !misplaced.includes(name);
    const script = nftScript(shape, {
      awake: found.value?.dormant === false,
      misplaced,
      staleChains: there.filter((name) => isStale(name) && !isWalk(name)),
      staleSets: names.value.filter((name) => !wanted.has(name) && !isWalk(name)),
    });
    const done = runCommand(["nft", "-f", "-"], this.#log, `${script}${walks.join("\n")}\n`);
    return done.ok ? ok(undefined) : done;
  }

  /** The names of chains and sets, and where a walk of knocks keeps what; undefined = the table is not there. */
  walks(): Result<{ readonly chains: string[]; readonly sets: string[] } | undefined> {
    const held = this.#read();
    if (!held.ok) return held;
    if (held.value === undefined || !held.value.marks.has(GUARD_CHAIN)) return ok(undefined);
    const names = this.#store.names();
    if (!names.ok) return names;
    return ok({ chains: [...held.value.marks.keys()].filter(isWalk), sets: names.value.filter(isWalk) });
  }

  /** Runs a script for nft that changes the table's walks, which is not logged: it holds sequences. */
  changeWalks(script: string): Result<void> {
    const reopened = this.#letGo(false);
    if (!reopened.ok) return reopened;
    this.#log("[#] nft -f - (walks of knock sequences)");
    const done = runCommand(["nft", "-f", "-"], this.#log, script, "look");
    this.#owned = ownTable(this.#socket);
    return done.ok ? ok(undefined) : done;
  }

  /** The socket in use. */
  get socket(): NetlinkSocket {
    return this.#socket;
  }

  /** Lets go of the table, so that nft can change it; a table that is not there is made first, so that it can be owned later. */
  #letGo(make: boolean): Result<void> {
    if (make) ownTable(this.#socket);
    const fresh = NetlinkSocket.open();
    if (!fresh.ok) return err(refusal("netlink socket", fresh.error));
    this.#socket.close();
    this.#socket = fresh.value;
    this.#owned = false;
    return ok(undefined);
  }
}

function isWalk(name: string): boolean {
  return name === NFT_WALK || stepOfNft(name) !== undefined;
}

function wantedSets(shape: Shape): string[] {
  return shape.services.flatMap(({ name }) => setsOf(name, shape.widths).flatMap(kernelSets));
}
