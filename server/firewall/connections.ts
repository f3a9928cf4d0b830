import { Address, type Network } from "../../shared/address.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { PortRange } from "../core/grant.ts";
import { NetlinkSocket } from "../sys/netlink.ts";
import {
  attribute,
  attributesOf,
  fromBe,
  NLM_F_ACK,
  NLM_F_DUMP,
  netfilterAttributes,
  netfilterMessage,
  type Received,
  valueOf,
} from "../sys/netlink-message.ts";
import { type Log, runCommand } from "./command.ts";
import { refusal } from "./errors.ts";

/** linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h */
const CTNETLINK = 1;
const CT_GET = 1;
const CT_DELETE = 2;
const TUPLE_ORIG = 1;
const STATUS = 3;
const PROTOINFO = 4;
const ID = 12;
const NESTED = 0x8000;
const SEEN_REPLY = 2;
const CONFIRMED = 8;
/** TCP_CONNTRACK_ESTABLISHED */
const ESTABLISHED = 3;
const ENOENT = 2;
const PROTOCOLS = new Map([
  [6, "tcp"],
  [17, "udp"],
]);

/** A connection that somebody else opened, as conntrack follows it. */
export interface Flow {
  readonly protocol: "tcp" | "udp";
  readonly source: Address;
  readonly sourcePort: number;
  /** The port that the first packet was sent to. */
  readonly port: number;
  readonly confirmed: boolean;
  /** Packets go both ways, and neither side has begun to end it. */
  readonly established: boolean;
  /** What names it to the kernel. */
  readonly tuple: Uint8Array;
  readonly id: Uint8Array | undefined;
}

/**
 * Cuts what a network, or a single address, has established to these ports: sockets of this machine are closed, and conntrack forgets the
 * connections, so that their next packet counts as a new one. Gives how many there were.
 */
export function cutConnections(from: Network, ports: readonly PortRange[], log: Log): Result<number> {
  const { family } = from.address;
  const isTheirs = (flow: Flow): boolean =>
    from.contains(flow.source) &&
    ports.some(
      ({ protocol, first, last }) => protocol === flow.protocol && first <= flow.port && flow.port <= last,
    );
  return withSocket((socket) => {
    const before = dump(socket, family);
    if (!before.ok) return before;
    closeSockets(from, ports, log);
    const after = dump(socket, family);
    if (!after.ok) return after;
    for (const flow of after.value.filter(isTheirs)) {
      const gone = forget(socket, flow, family);
      if (!gone.ok) return gone;
    }
    return ok(before.value.filter((flow) => flow.established && isTheirs(flow)).length);
  });
}

/** Otherwise the server's next packet would make conntrack follow the connection again, as one of the server's own. */
function closeSockets(from: Network, ports: readonly PortRange[], log: Log): void {
  const filter = ports
    .filter(({ protocol }) => protocol === "tcp")
    .flatMap(({ first, last }, index) => [
      ...(index > 0 ? ["or"] : []),
      ...["(", "sport", ">=", `:${first}`, "and", "sport", "<=", `:${last}`, ")"],
    ]);
  if (filter.length === 0) return;
  const where = ["state", "connected", "dst", from.toString(), "and", "(", ...filter, ")"];
  const destroyed = runCommand(["ss", "-HKtn", ...where], log);
  if (!destroyed.ok) log(`sockets are not closed: ${destroyed.error.message}`);
}

function forget(socket: NetlinkSocket, { tuple, id }: Flow, family: 4 | 6): Result<void> {
  const gone = socket.request(
    netfilterMessage(
      CTNETLINK,
      CT_DELETE,
      { family: family === 4 ? 2 : 10, flags: NLM_F_ACK },
      attribute(TUPLE_ORIG | NESTED, tuple),
      ...(id === undefined ? [] : [attribute(ID, id)]),
    ),
  );
  if (gone.ok || gone.error.code === ENOENT) return ok(undefined);
  return { ok: false, error: refusal("conntrack -D", gone.error) };
}

function dump(socket: NetlinkSocket, family: 4 | 6): Result<Flow[]> {
  const message = netfilterMessage(CTNETLINK, CT_GET, { family: family === 4 ? 2 : 10, flags: NLM_F_DUMP });
  const parts = socket.dump(message);
  return parts.ok
    ? ok(parts.value.flatMap((part) => flowOf(part, family) ?? []))
    : { ok: false, error: refusal("conntrack -L", parts.error) };
}

function flowOf(message: Received, family: 4 | 6): Flow | undefined {
  const attributes = netfilterAttributes(message);
  const tuple = valueOf(attributes, TUPLE_ORIG);
  const parts = attributesOf(tuple);
  const ip = valueOf(attributesOf(valueOf(parts, 1)), family === 4 ? 1 : 3);
  const transport = attributesOf(valueOf(parts, 2));
  const protocol = PROTOCOLS.get(fromBe(valueOf(transport, 1)));
  if (tuple === undefined || ip?.length !== (family === 4 ? 4 : 16)) return undefined;
  if (protocol !== "tcp" && protocol !== "udp") return undefined;
  const status = fromBe(valueOf(attributes, STATUS));
  const tcpState = fromBe(valueOf(attributesOf(valueOf(attributesOf(valueOf(attributes, PROTOINFO)), 1)), 1));
  return {
    protocol,
    source: family === 4 ? Address.v4(ip) : new Address(ip),
    sourcePort: fromBe(valueOf(transport, 2)),
    port: fromBe(valueOf(transport, 3)),
    confirmed: (status & CONFIRMED) !== 0,
    established: protocol === "tcp" ? tcpState === ESTABLISHED : (status & SEEN_REPLY) !== 0,
    tuple,
    id: valueOf(attributes, ID),
  };
}

function withSocket<T>(body: (socket: NetlinkSocket) => Result<T>): Result<T> {
  const socket = NetlinkSocket.open();
  if (!socket.ok) return { ok: false, error: refusal("netlink socket", socket.error) };
  try {
    return body(socket.value);
  } finally {
    socket.value.close();
  }
}

/** Whether conntrack follows this TCP connection to this machine, so that it counts as established. */
export function hasFlow(source: Address, sourcePort: number, port: number): Result<boolean> {
  const found = withSocket((socket) => dump(socket, source.family));
  if (!found.ok) return found;
  return ok(
    found.value.some(
      (flow) =>
        flow.protocol === "tcp" &&
        flow.confirmed &&
        flow.source.equals(source) &&
        flow.sourcePort === sourcePort &&
        flow.port === port,
    ),
  );
}
