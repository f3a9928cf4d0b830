import { parseAddress } from "../../shared/address.ts";
import type { ServerView, ServiceView } from "./engine.ts";

/** How to connect to a service once it is open. */
export interface Way {
  /** What to copy. */
  readonly text: string;
  /** A link that an app may take. */
  readonly link: string | undefined;
}

/** A command for ssh, an address for a browser, else host and port. */
export function wayTo(server: ServerView, service: ServiceView): Way {
  const host = server.addresses[0] ?? "";
  const isV6 = parseAddress(host).ok && host.includes(":");
  const bracketed = isV6 ? `[${host}]` : host;
  const port = Number(/^tcp\/([0-9]+)$/.exec(service.ports[0] ?? "")?.[1] ?? 0);
  const user = server.login === "" ? "" : `${server.login}@`;
  if (port === 22 || (port > 0 && /ssh/.test(service.name))) {
    const flag = port === 22 ? "" : ` -p ${port}`;
    const suffix = port === 22 ? "" : `:${port}`;
    return { text: `ssh ${user}${host}${flag}`, link: `ssh://${user}${bracketed}${suffix}` };
  }
  if (port === 80 || port === 443) {
    const address = `${port === 443 ? "https" : "http"}://${bracketed}/`;
    return { text: address, link: address };
  }
  return { text: port > 0 ? `${bracketed}:${port}` : `${host} ${service.ports.join(", ")}`, link: undefined };
}
