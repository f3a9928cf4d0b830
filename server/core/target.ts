import { parseAddress } from "../../shared/address.ts";
import { type Port, parsePort } from "../../shared/brand.ts";

/** A port of another host, which a service's port of this machine leads to. `address` in its one form (RFC 5952). */
export interface Target {
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: Port;
}

/** `tcp/10.1.2.3:22` or `udp/[fd00::3]:53`; undefined for anything else. */
export function parseTarget(text: string): Target | undefined {
  const [, protocol, v6, v4, number = ""] =
    /^(tcp|udp)\/(?:\[([^\]]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const address = parseAddress(v6 ?? v4 ?? "");
  const port = parsePort(number);
  if (!address.ok || !port.ok || (address.value.family === 6) !== (v6 !== undefined)) return undefined;
  const { family, text: literal } = address.value;
  return { protocol: protocol === "udp" ? "udp" : "tcp", family, address: literal, port: port.value };
}

export function formatTarget(target: Target): string {
  return `${target.protocol}/${endpointOf(target)}`;
}

/** `10.1.2.3:22` or `[fd00::3]:22` */
export function endpointOf({ family, address, port }: Target): string {
  return family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
}
