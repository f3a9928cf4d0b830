import type { NetlinkSocket } from "../sys/netlink.ts";
import { attribute, NLM_F_ACK, NLM_F_NONREC, text } from "../sys/netlink-message.ts";
import type { Log } from "./command.ts";
import { batch, nft } from "./nft-message.ts";

/** What iptables-nft makes in nf_tables when a rule is added to mangle's PREROUTING for the first time. */
export type Made = "table" | "chain" | "nothing";

const TABLE = attribute(1, text("mangle"));
/** NFTA_CHAIN_TABLE 1, NFTA_CHAIN_NAME 3. */
const CHAIN = [TABLE, attribute(3, text("PREROUTING"))];
const ENOENT = 2;

/** What is not there yet. */
export function missingParts(socket: NetlinkSocket, family: 4 | 6): Made {
  const missing = (outcome: ReturnType<NetlinkSocket["request"]>): boolean =>
    !outcome.ok && outcome.error.code === ENOENT;
  const proto = protocolFamily(family);
  if (missing(socket.request(nft("getTable", proto, 0, TABLE)))) return "table";
  return missing(socket.request(nft("getChain", proto, 0, ...CHAIN))) ? "chain" : "nothing";
}

/**
 * Removes what iptables-nft had made for the guard, so that the ruleset is as it was. NLM_F_NONREC makes the kernel refuse
 * when anything has been put in since; then it stays, and that is right.
 */
export function removeMade(socket: NetlinkSocket, family: 4 | 6, made: Made, log: Log): void {
  if (made === "nothing") return;
  const proto = protocolFamily(family);
  const flags = NLM_F_ACK | NLM_F_NONREC;
  const name = family === 4 ? "ip" : "ip6";
  log(
    `[#] nft delete chain ${name} mangle PREROUTING${made === "table" ? `; nft delete table ${name} mangle` : ""}`,
  );
  const chain = socket.request(...batch(nft("deleteChain", proto, flags, ...CHAIN)));
  const gone =
    chain.ok && made === "table" ? socket.request(...batch(nft("deleteTable", proto, flags, TABLE))) : chain;
  if (!gone.ok) log(`the table ${name} mangle stays: it is in use`);
}

function protocolFamily(family: 4 | 6): number {
  return family === 4 ? 2 : 10;
}
