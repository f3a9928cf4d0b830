import { err, ok, type Result } from "../../shared/result.ts";
import type { NetlinkError, NetlinkSocket } from "../sys/netlink.ts";
import {
  type Attribute,
  attribute,
  attributesOf,
  be32,
  fromBe,
  fromText,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  netfilterAttributes,
  text,
  valueOf,
} from "../sys/netlink-message.ts";
import { batch, INET, nft } from "./nft-message.ts";
import { BASES, TABLE } from "./nft-rules.ts";

/** What the kernel holds of Tock's nft table, and who owns it: linux/netfilter/nf_tables.h. */

const NAME = attribute(1, text(TABLE));
const DORMANT = 1;
/** NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST (Linux 6.9): only the owner's socket changes it, and it outlives that socket. */
const OWNED = 2 | 4;
const ENOENT = 2;
const CHAIN = { table: 1, name: 3, hook: 4, policy: 5, type: 7 };
const RULE = { table: 1, chain: 2, userdata: 7 };
/** linux/netfilter.h, enum nf_inet_hooks. */
const HOOKS = { prerouting: 0, input: 1 };
const NF_ACCEPT = 1;

export interface HeldTable {
  /** The rules' comments by chain, in order. */
  readonly marks: ReadonlyMap<string, readonly string[]>;
  /** Chains that the kernel should call, and calls from elsewhere. */
  readonly misplaced: readonly string[];
  /** Switched off, whatever it holds. Only an ordinary table can be. */
  readonly dormant: boolean;
}

type Outcome<T> = Result<T, NetlinkError>;

/** What is there, or undefined when the table is not. */
export function readTable(socket: NetlinkSocket): Outcome<HeldTable | undefined> {
  const table = socket.request(nft("getTable", INET, NLM_F_ACK, NAME));
  if (!table.ok) return table.error.code === ENOENT ? ok(undefined) : table;
  const flags = table.value.map((part) => fromBe(valueOf(netfilterAttributes(part), 2)))[0] ?? 0;
  const chains = dumpOf(socket, "getChain", CHAIN.table);
  if (!chains.ok) return chains;
  const rules = dumpOf(socket, "getRule", RULE.table, NAME);
  if (!rules.ok) return rules;
  const marks = new Map<string, string[]>(
    chains.value.map((chain) => [fromText(valueOf(chain, CHAIN.name)), []]),
  );
  for (const rule of rules.value) {
    marks.get(fromText(valueOf(rule, RULE.chain)))?.push(commentOf(valueOf(rule, RULE.userdata)));
  }
  const misplaced = chains.value.filter((chain) => !isInPlace(chain));
  return ok({
    marks,
    misplaced: misplaced.map((chain) => fromText(valueOf(chain, CHAIN.name))),
    dormant: (flags & DORMANT) !== 0,
  });
}

/**
 * Makes the table this socket's own, so that nobody else's flush or change touches it while this socket is open. False where the
 * kernel cannot, or the table is an ordinary one.
 */
export function ownTable(socket: NetlinkSocket): boolean {
  const flags = attribute(2, be32(OWNED));
  return socket.request(...batch(nft("newTable", INET, NLM_F_CREATE | NLM_F_ACK, NAME, flags))).ok;
}

/** Removes the table with everything in it. Ok also when it is not there. */
export function deleteTable(socket: NetlinkSocket): Outcome<void> {
  const gone = socket.request(...batch(nft("deleteTable", INET, NLM_F_ACK, NAME)));
  return gone.ok || gone.error.code === ENOENT ? ok(undefined) : err(gone.error);
}

function dumpOf(
  socket: NetlinkSocket,
  command: "getChain" | "getRule",
  tableAttribute: number,
  ...filter: Uint8Array[]
): Outcome<Attribute[][]> {
  const parts = socket.dump(nft(command, INET, NLM_F_DUMP, ...filter));
  if (!parts.ok) return parts;
  const all = parts.value.map(netfilterAttributes);
  return ok(all.filter((each) => fromText(valueOf(each, tableAttribute)) === TABLE));
}

function isInPlace(chain: readonly Attribute[]): boolean {
  const base = BASES.get(fromText(valueOf(chain, CHAIN.name)));
  if (base === undefined) return true;
  const hook = attributesOf(valueOf(chain, CHAIN.hook));
  return (
    hook.length > 0 &&
    fromBe(valueOf(hook, 1)) === HOOKS[base.hook] &&
    fromBe(valueOf(hook, 2)) === 2 ** 32 + base.priority &&
    fromBe(valueOf(chain, CHAIN.policy)) === NF_ACCEPT &&
    fromText(valueOf(chain, CHAIN.type)) === base.type
  );
}

/** libnftnl's user data: a byte of type (0 = comment), a byte of length, the value with its zero byte. */
function commentOf(userdata: Uint8Array | undefined): string {
  if (userdata === undefined || userdata[0] !== 0) return "";
  return fromText(userdata.subarray(2, 2 + (userdata[1] ?? 0)));
}
