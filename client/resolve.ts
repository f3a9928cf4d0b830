import { type Address, parseAddress } from "../shared/address.ts";
import { quote } from "../shared/brand.ts";
import { TockError } from "../shared/errors.ts";

/** Which address families to use; undefined = both. */
export type Family = 4 | 6 | undefined;

/** A name server that is slower than this counts as silent. */
const PATIENCE_MS = 5_000;
/** More addresses than this are not one server. */
const MOST = 8;

/**
 * The addresses behind literals and host names, in the order given, each once, A and AAAA both. Names that do not
 * resolve are left out as long as anything is left; otherwise it is an error that names them.
 */
export async function resolveHosts(hosts: readonly string[], family: Family): Promise<Address[]> {
  const lists = await Promise.all(hosts.map(addressesOf));
  const all = lists.flatMap((list) => list ?? []);
  const unique = [...new Map(all.map((address) => [address.text, address])).values()];
  const fitting = unique
    .filter((address) => family === undefined || address.family === family)
    .slice(0, MOST);
  if (fitting.length > 0) return fitting;
  const unresolved = hosts.filter((_, index) => lists[index] === undefined);
  if (unique.length > 0 || unresolved.length === 0) {
    const message = `no IPv${family ?? 4} address among ${hosts.map(quote).join(", ")}`;
    throw new TockError("not-found", message, `leave out -${family ?? 4}`);
  }
  const hint = "check the network and the name; an enrolment with an IP address needs no name server";
  throw new TockError("io", `cannot resolve ${unresolved.map(quote).join(", ")}`, hint);
}

/** Undefined where a name has no address or no name server tells. */
async function addressesOf(host: string): Promise<readonly Address[] | undefined> {
  const literal = parseAddress(host);
  if (literal.ok) return [literal.value];
  const { lookup } = await import("node:dns/promises");
  const found = await within(PATIENCE_MS, lookup(host, { all: true, order: "verbatim" }));
  const addresses = (found ?? []).map(({ address }) => parseAddress(address));
  const good = addresses.flatMap((address) => (address.ok ? [address.value] : []));
  return good.length > 0 ? good : undefined;
}

/** What a promise gives; undefined where it fails or takes longer than `ms`. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
