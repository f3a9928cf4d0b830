import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import { Address } from "../../shared/address.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import {
  attribute,
  be16,
  be32,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  netfilterMessage,
} from "../sys/netlink-message.ts";
import type { Log } from "./command.ts";
import type { Shape } from "./guard.ts";

/**
 * Conntrack follows connections only since some rule asked it to. On a machine where the guard is the first such rule, a session that
 * is up would look new, and be cut, the administrator's own among them. So before the guard goes in, conntrack is told of
 * every TCP connection that stands on a protected port.
 */

/** Protected connections of this network namespace, as /proc/net/tcp and tcp6 show them. */
export interface Connection {
  readonly local: Address;
  readonly localPort: number;
  readonly remote: Address;
  readonly remotePort: number;
}

const CTNETLINK = 1;
const CT_NEW = 0;
const TCP = 6;
/** IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED */
const STATUS = 2 | 4 | 8;
const TCP_CONNTRACK_ESTABLISHED = 3;
/** IP_CT_TCP_FLAG_BE_LIBERAL, as flags and mask: its window is not known. */
const LIBERAL = Uint8Array.of(8, 8);
/** nf_conntrack_tcp_timeout_established's default, 5 days. */
const TIMEOUT = 432_000;
const EEXIST = 17;
/** TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_CLOSE_WAIT in include/net/tcp_states.h. */
const STANDING = new Set([1, 4, 5, 8]);

/** Makes conntrack know the connections on the plan's TCP ports. What it knows already is left alone. */
export function adoptConnections(socket: NetlinkSocket, shape: Shape, log: Log): void {
  const spans = [...shape.silent.tcp, ...shape.services.flatMap(({ ports }) => ports.tcp)];
  const guarded = (port: number): boolean => spans.some(([first, last]) => port >= first && port <= last);
  for (const connection of connections().filter(({ localPort }) => guarded(localPort))) {
    const outcome = socket.request(newEntry(connection));
    if (outcome.ok || outcome.error.code === EEXIST) continue;
    const { remote, remotePort } = connection;
    log(
      `conntrack did not take the connection from ${remote.text} port ${remotePort} (error ${outcome.error.code}): the guard may cut it`,
    );
  }
}

function connections(): Connection[] {
  return ["tcp", "tcp6"].flatMap((name) => {
    try {
      return parseConnections(readFileSync(`/proc/self/net/${name}`, "latin1"));
    } catch {
      return [];
    }
  });
}

/** The standing connections in the text of /proc/net/tcp or tcp6. Loopback is left out. Lines of another form are passed over. */
export function parseConnections(listing: string): Connection[] {
  return listing.split("\n").flatMap((line) => {
    const [, local, localPort, remote, remotePort, state] =
      /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) /.exec(line) ?? [];
    if (local === undefined || remote === undefined || state === undefined) return [];
    if (!STANDING.has(Number.parseInt(state, 16))) return [];
    const from = procAddress(local);
    const to = procAddress(remote);
    if (from === undefined || to === undefined || from.text === "::1" || from.text.startsWith("127."))
      return [];
    const port = (hex: string | undefined): number => Number.parseInt(hex ?? "0", 16);
    return [{ local: from, localPort: port(localPort), remote: to, remotePort: port(remotePort) }];
  });
}

/** 32-bit words printed as numbers of the machine's byte order. */
function procAddress(hex: string): Address | undefined {
  const bytes = Buffer.from(hex, "hex");
  if (endianness() === "LE") bytes.swap32();
  if (bytes.length === 4) return Address.v4(bytes);
  return bytes.length === 16 ? new Address(bytes) : undefined;
}

/** The client's direction is the original one. Attributes: linux/netfilter/nfnetlink_conntrack.h, enum ctattr_*. */
export function newEntry(connection: Connection): ReturnType<typeof netfilterMessage> {
  const { local, localPort, remote, remotePort } = connection;
  const state = nested(
    1,
    attribute(1, Uint8Array.of(TCP_CONNTRACK_ESTABLISHED)),
    attribute(4, LIBERAL),
    attribute(5, LIBERAL),
  );
  return netfilterMessage(
    CTNETLINK,
    CT_NEW,
    { family: local.family === 4 ? 2 : 10, flags: NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK },
    clientTuple(connection),
    tcpTuple(2, local, localPort, remote, remotePort),
    attribute(3, be32(STATUS)),
    nested(4, state),
    attribute(7, be32(TIMEOUT)),
  );
}

/** CTA_TUPLE_ORIG of a TCP connection: what its client sends. */
export function clientTuple({ local, localPort, remote, remotePort }: Connection): Uint8Array {
  return tcpTuple(1, remote, remotePort, local, localPort);
}

function tcpTuple(type: number, from: Address, fromPort: number, to: Address, toPort: number): Uint8Array {
  const isV4 = from.family === 4;
  return nested(
    type,
    nested(1, attribute(isV4 ? 1 : 3, from.wire()), attribute(isV4 ? 2 : 4, to.wire())),
    nested(2, attribute(1, Uint8Array.of(TCP)), attribute(2, be16(fromPort)), attribute(3, be16(toPort))),
  );
}
