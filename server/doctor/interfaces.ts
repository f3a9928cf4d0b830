import { readFileSync } from "node:fs";
import type { NetworkInterfaceInfo } from "node:os";
import { within } from "./networks.ts";

export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/** A way in for clients: the interface, and the address that they use there. */
export interface Way {
  readonly family: 4 | 6;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** By which interfaces clients come in: those that have one of the server's addresses, or else that of the default route. */
export function interfacesOf(addresses: readonly string[], own: Interfaces): Way[] {
  const all = Object.entries(own).flatMap(([from, list]) =>
    (list ?? []).map(
      ({ address, family }): Way => ({ family: family === "IPv4" ? 4 : 6, from, to: address }),
    ),
  );
  return ([4, 6] as const).flatMap((family): Way[] => {
    const of = all.filter((way) => way.family === family && way.from !== "lo");
    const named = of.filter(({ to }) => to !== undefined && addresses.includes(to));
    if (named.length > 0) return named;
    const from = defaultInterface(family);
    const by = of.find((way) => way.from === from);
    if (by !== undefined) return [by];
    return of.length === 0 ? [] : [{ family, from: undefined, to: undefined }];
  });
}

/** The interface whose network an address is in. */
export function interfaceTo(address: string | undefined, own: Interfaces): string | undefined {
  if (address === undefined) return undefined;
  return Object.entries(own).find(([, list]) =>
    (list ?? []).some(({ cidr }) => cidr !== null && within(address, cidr)),
  )?.[0];
}

/** proc(5): the destination of the default route is all zeroes. IPv6 has those of `lo` there too, which refuse. */
function defaultInterface(family: 4 | 6): string | undefined {
  try {
    const text = readFileSync(`/proc/self/net/${family === 4 ? "route" : "ipv6_route"}`, "latin1");
    const rows = text.split("\n").map((line) => line.trim().split(/\s+/));
    return family === 4
      ? rows.find(([, destination]) => destination === "00000000")?.[0]
      : rows.find((row) => /^0+$/.test(row[0] ?? "") && row[1] === "00" && row.at(-1) !== "lo")?.at(-1);
  } catch {
    return undefined;
  }
}
