import { readFileSync } from "node:fs";
import { err, ok, type Result } from "../../shared/result.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import { attribute, text } from "../sys/netlink-message.ts";
import type { Log } from "./command.ts";
import { refusal } from "./errors.ts";
import { GUARD_CHAIN } from "./iptables-rules.ts";
import { IptablesTable, type Variant } from "./iptables-table.ts";
import { IpsetStore } from "./ipset-store.ts";
import { nft } from "./nft-message.ts";
import { deleteTable, readTable } from "./nft-table.ts";

/** Where a guard can hang: in Tock's own nft table, or in the table mangle of iptables-nft or iptables-legacy. */
export type Place = "table" | "iptables-nft" | "iptables-legacy";

/**
 * Takes out guards that another backend has left, after a change of the configuration: a drop wins over everything, so a guard
 * that no grant reaches any more would lock everybody out. To be called when the new guard is in.
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
  for (const family of [4, 6] as const) {
    if (own !== "iptables-nft" && hasNftChain(socket, family)) {
      const gone = removeFrom(family, "-nft", socket, log);
      if (!gone.ok) return gone;
    }
    if (own !== "iptables-legacy" && hasLegacyTable(family)) {
      const gone = removeFrom(family, "-legacy", socket, log);
      if (!gone.ok) return gone;
    }
  }
  return own === "table" ? destroyGrantSets(socket) : ok(undefined);
}

/** The same for a guard in one of the tables mangle, which says itself in which. */
export function removeGuardsBeside(table: IptablesTable, socket: NetlinkSocket, log: Log): Result<void> {
  const place = table.place();
  return place.ok ? removeOtherGuards(place.value, socket, log) : place;
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

function removeFrom(family: 4 | 6, variant: Variant, socket: NetlinkSocket, log: Log): Result<void> {
  return new IptablesTable({ family, variant, socket, log }).remove();
}

function hasNftChain(socket: NetlinkSocket, family: 4 | 6): boolean {
  const names = [attribute(1, text("mangle")), attribute(3, text(GUARD_CHAIN))];
  return socket.request(nft("getChain", family === 4 ? 2 : 10, 0, ...names)).ok;
}

/** iptables-legacy makes the table by looking at it, so it is asked only where the table is there. The file is root's. */
function hasLegacyTable(family: 4 | 6): boolean {
  try {
    const names = readFileSync(`/proc/self/net/ip${family === 4 ? "" : "6"}_tables_names`, "utf8");
    return names.split("\n").includes("mangle");
  } catch {
    return false;
  }
}
