import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import type { Log } from "./command.ts";
import { refusal } from "./errors.ts";
import type { IptablesKind } from "./iptables-table.ts";
import { IptablesTables } from "./iptables-tables.ts";
import { IpsetStore } from "./ipset-store.ts";
import { deleteTable, readTable } from "./nft-table.ts";

/** Where a guard can hang: in Tock's own nft table, or in the tables of iptables-nft or iptables-legacy. */
type Place = "table" | IptablesKind;

/**
 * Takes out guards that another backend has left, after a change of the configuration: a drop wins over everything, so a guard
 * that no grant reaches any more would lock everybody out. To be called when the new guard is in, or the own one is out.
 */
export function removeOtherGuards(own: Place, socket: NetlinkSocket, log: Log): Result<void> {
  if (own !== "table") {
    const held = readTable(socket);
    if (!held.ok) return err(refusal("nft list table inet tock", held.error));
    if (held.value !== undefined) {
      log("[#] nft delete table inet tock");
      const gone = deleteTable(socket);
      if (!gone.ok) return err(refusal("nft delete table inet tock", gone.error));
    }
  }
  for (const variant of ["-nft", "-legacy"] as const) {
    if (own === `iptables${variant}`) continue;
    const gone = new IptablesTables({ variant, socket, log }).removeLeft();
    if (!gone.ok) return gone;
  }
  if (own !== "table") return ok(undefined);
  const cleared = destroyGrantSets(socket);
  if (cleared.ok) return cleared;
  // Rules hold these sets still: of iptables-legacy, which are told to root alone, and this is not root.
  const gone = new IptablesTables({ variant: "-legacy", socket, log }).remove();
  if (gone.ok) return destroyGrantSets(socket);
  const message = `a guard of iptables-legacy is left, and cannot be taken out: ${gone.error.message}`;
  return err(new TockError("firewall", message, "as root: tockd guard restore"));
}

/** The same for a guard in tables of iptables, which say themselves whose they are. */
export function removeGuardsBeside(tables: IptablesTables, socket: NetlinkSocket, log: Log): Result<void> {
  const kind = tables.kind();
  return kind.ok ? removeOtherGuards(kind.value, socket, log) : kind;
}

/** Destroys the sets of grants that the iptables backend keeps, for one that keeps none. */
export function destroyGrantSets(socket: NetlinkSocket): Result<void> {
  const store = new IpsetStore(socket, () => 0);
  const sets = store.sets();
  // A kernel without ipset holds no sets.
  for (const set of sets.ok ? sets.value : []) {
    const gone = store.destroy(set);
    if (!gone.ok) return gone;
  }
  return ok(undefined);
}
