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
import { clientTuple, newEntry } from "./established.ts";

/** linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h */
const CTNETLINK = 1;
const CT_GET = 1;
const CT_DELETE = 2;
const TUPLE_ORIG = 1;
const TUPLE_REPLY = 2;
const STATUS = 3;
const PROTOINFO = 4;
const ID = 12;
const NESTED = 0x8000;
const SEEN_REPLY = 2;
const CONFIRMED = 8;
/** TCP_CONNTRACK_ESTABLISHED */
const ESTABLISHED = 3;
const ENOENT = 2;
const EEXIST = 17;
/** How often the server within may be quicker than we are. */
const MOST_TRIES = 5;
const PROTOCOLS = new Map([
  [6, "tcp"],
  [17, "udp"],
]);

interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

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
  /** The server that answers, where that is not whom the first packet was sent to. */
  readonly within: Endpoint | undefined;
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
      const gone = forget(socket, attribute(TUPLE_ORIG | NESTED, flow.tuple), family, flow.id);
      if (!gone.ok) return gone;
      const kept = keepApart(socket, flow);
      if (!kept.ok) return kept;
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

function forget(socket: NetlinkSocket, tuple: Uint8Array, family: 4 | 6, id?: Uint8Array): Result<void> {
  const gone = socket.request(
    netfilterMessage(
      CTNETLINK,
      CT_DELETE,
      { family: family === 4 ? 2 : 10, flags: NLM_F_ACK },
      tuple,
      ...(id === undefined ? [] : [attribute(ID, id)]),
    ),
  );
  if (gone.ok || gone.error.code === ENOENT) return ok(undefined);
  return { ok: false, error: refusal("conntrack -D", gone.error) };
}

/**
 * A server within goes on sending. Conntrack would take that for a connection of its own, a masquerade would give it the very address
 * and port that its client knows, and the client's next packet would count as an answer. So conntrack is told of that
 * connection first, as one without any translation: what the server sends no longer looks like what the client waits for.
 */
function keepApart(socket: NetlinkSocket, { protocol, source, sourcePort, within }: Flow): Result<void> {
  if (protocol !== "tcp" || within === undefined) return ok(undefined);
  const { address, port } = within;
  const own = { local: source, localPort: sourcePort, remote: address, remotePort: port };
  for (let tries = 1; ; tries++) {
    const made = socket.request(newEntry(own));
    if (made.ok) return ok(undefined);
    if (made.error.code !== EEXIST || tries === MOST_TRIES)
      return { ok: false, error: refusal("conntrack -I", made.error) };
    const gone = forget(socket, clientTuple(own), source.family);
    if (!gone.ok) return gone;
  }
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
    within: serverWithin(parts, valueOf(attributes, TUPLE_REPLY), family),
    tuple,
    id: valueOf(attributes, ID),
  };
}

/** Who answers, by the reply's tuple; undefined = whom the packet was sent to. */
function serverWithin(
  sent: ReturnType<typeof attributesOf>,
  reply: Uint8Array | undefined,
  family: 4 | 6,
): Endpoint | undefined {
  const answered = attributesOf(reply);
  const ip = (parts: typeof sent, v4: number, v6: number): Uint8Array | undefined =>
    valueOf(attributesOf(valueOf(parts, 1)), family === 4 ? v4 : v6);
  const port = (parts: typeof sent, type: number): number =>
    fromBe(valueOf(attributesOf(valueOf(parts, 2)), type));
  const [to, from] = [ip(sent, 2, 4), ip(answered, 1, 3)];
  if (to === undefined || from === undefined || from.length !== to.length) return undefined;
  if (Buffer.compare(to, from) === 0 && port(sent, 3) === port(answered, 2)) return undefined;
  return { address: family === 4 ? Address.v4(from) : new Address(from), port: port(answered, 2) };
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

/**
 * The port that a TCP connection to this machine was sent to, which rules may redirect: `at` is the address and port of its socket
 * here. Undefined = conntrack does not follow it, so that it does not count as established.
 */
export function portSentTo(from: Endpoint, at: Endpoint): Result<number | undefined> {
  const found = withSocket((socket) => dump(socket, from.address.family));
  if (!found.ok) return found;
  const isIt = ({ protocol, confirmed, source, sourcePort, port, within }: Flow): boolean =>
    protocol === "tcp" &&
    confirmed &&
    source.equals(from.address) &&
    sourcePort === from.port &&
    (within === undefined ? port === at.port : within.port === at.port && within.address.equals(at.address));
  return ok(found.value.find(isIt)?.port);
}
