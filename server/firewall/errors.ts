import { TockError } from "../../shared/errors.ts";
import { errnoName } from "../sys/libc.ts";
import { type NetlinkError, NO_ANSWER } from "../sys/netlink.ts";

/** ipset's own codes (linux/netfilter/ipset/ip_set.h, enum ipset_errno; the hash types' begin at 4352). */
const IPSET: Record<number, string> = {
  4097: "IPSET_ERR_PROTOCOL",
  4098: "IPSET_ERR_FIND_TYPE",
  4099: "IPSET_ERR_MAX_SETS",
  4100: "IPSET_ERR_BUSY",
  4102: "IPSET_ERR_TYPE_MISMATCH",
  4103: "IPSET_ERR_EXIST",
  4108: "IPSET_ERR_REFERENCED",
  4352: "IPSET_ERR_HASH_FULL",
};

const HINTS: Record<string, string> = {
  EPERM: "it needs CAP_NET_ADMIN: run it as root or through its unit; if tockd is running, ask it instead",
  ENOENT: "is the guard on? tockd guard on puts it in",
  ENOBUFS: "the kernel is short of buffers for netlink: try again",
  ENOMEM: "the machine is short of memory",
  EPROTONOSUPPORT: "this kernel has no netfilter netlink",
  EOPNOTSUPP: "this kernel lacks a part of netfilter that the guard needs; see tockd doctor",
  IPSET_ERR_BUSY: "a rule of somebody else uses the set; iptables-save and iptables-legacy-save show which",
  IPSET_ERR_FIND_TYPE:
    "this kernel lacks the set type: load ip_set_hash_ip and ip_set_hash_ipport, or use the nftables backend",
  IPSET_ERR_HASH_FULL: "the set holds as many grants as it can",
  IPSET_ERR_MAX_SETS: "the kernel holds as many sets as it can: raise ip_set's max_sets",
};

/** The kernel's refusal of `what` (a short phrase), with the errno's name and what to do about it. */
export function refusal(what: string, error: NetlinkError): TockError {
  if (error.code === NO_ANSWER) {
    return new TockError(
      "firewall",
      `${what}: the kernel did not confirm it`,
      "try again; nothing is reported as open",
    );
  }
  const name = IPSET[error.code] ?? errnoName(error.code);
  const words = error.words === "" ? "" : ` (${error.words})`;
  return new TockError("firewall", `${what}: the kernel refused: ${name}${words}`, HINTS[name]);
}
