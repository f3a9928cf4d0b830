import type { NetlinkSocket } from "../sys/netlink.ts";
import { fromBe, netfilterAttributes, valueOf } from "../sys/netlink-message.ts";
import { nft } from "./nft-message.ts";

/** NFTA_GEN_ID in linux/netfilter/nf_tables.h. */
const GENERATION_ID = 1;

/** A number that every change to nf_tables raises, whoever makes it, in one message; undefined = the kernel does not tell. */
export function generationOf(socket: NetlinkSocket): number | undefined {
  const asked = socket.request(nft("getGeneration", 0, 0));
  const [answer] = asked.ok ? asked.value : [];
  const id = answer && valueOf(netfilterAttributes(answer), GENERATION_ID);
  return id && fromBe(id);
}
