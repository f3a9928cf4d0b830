import type { NetlinkSocket } from "../sys/netlink.ts";
import { attribute, NLM_F_ACK, NLM_F_NONREC, text } from "../sys/netlink-message.ts";
import type { Log } from "./command.ts";
import { batch, nft } from "./nft-message.ts";

/** What iptables-nft makes in nf_tables when a rule is added to a chain of its own for the first time. */
export type Made = "table" | "chain" | "nothing";

const ENOENT = 2;

/** A table of iptables-nft, and one of the chains that the kernel calls. */
export interface Spot {
  readonly family: 4 | 6;
  readonly table: string;
  readonly chain: string;
}

/** NFTA_TABLE_NAME 1; NFTA_CHAIN_TABLE 1, NFTA_CHAIN_NAME 3. */
const tableName = ({ table }: Spot): Uint8Array => attribute(1, text(table));
const chainName = (spot: Spot): Uint8Array[] => [tableName(spot), attribute(3, text(spot.chain))];

/** Whether the chain is there. */
export function isThere(socket: NetlinkSocket, spot: Spot): boolean {
  return socket.request(nft("getChain", protocolFamily(spot.family), 0, ...chainName(spot))).ok;
}

/** What is not there yet. */
export function missingParts(socket: NetlinkSocket, spot: Spot): Made {
  const missing = (outcome: ReturnType<NetlinkSocket["request"]>): boolean =>
    !outcome.ok && outcome.error.code === ENOENT;
  const proto = protocolFamily(spot.family);
  if (missing(socket.request(nft("getTable", proto, 0, tableName(spot))))) return "table";
  return missing(socket.request(nft("getChain", proto, 0, ...chainName(spot)))) ? "chain" : "nothing";
}

/**
 * Removes what iptables-nft had made for the guard, so that the ruleset is as it was. NLM_F_NONREC makes the kernel refuse
 * when anything has been put in since; then it stays, and that is right.
 */
export function removeMade(
  socket: NetlinkSocket,
  parts: readonly { readonly spot: Spot; readonly made: Made }[],
  log: Log,
): void {
  const flags = NLM_F_ACK | NLM_F_NONREC;
  const name = ({ family, table }: Spot): string => `${family === 4 ? "ip" : "ip6"} ${table}`;
  const remove = (what: "deleteChain" | "deleteTable", spot: Spot, ...named: Uint8Array[]): void => {
    const gone = socket.request(...batch(nft(what, protocolFamily(spot.family), flags, ...named)));
    if (!gone.ok) log(`the table ${name(spot)} stays: it is in use`);
  };
  for (const { spot } of parts.filter(({ made }) => made !== "nothing")) {
    log(`[#] nft delete chain ${name(spot)} ${spot.chain}`);
    remove("deleteChain", spot, ...chainName(spot));
  }
  const table = parts.find(({ made }) => made === "table");
  if (table === undefined) return;
  log(`[#] nft delete table ${name(table.spot)}`);
  remove("deleteTable", table.spot, tableName(table.spot));
}

function protocolFamily(family: 4 | 6): number {
  return family === 4 ? 2 : 10;
}
