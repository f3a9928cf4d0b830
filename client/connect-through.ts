import { Socket } from "node:net";
import type { Address } from "../shared/address.ts";
import { TockError } from "../shared/errors.ts";
import { type Door, type DoorPlan, openBoundDoor, openDoor } from "./door.ts";
import { resolveHosts } from "./resolve.ts";
import type { Outcome } from "./session.ts";
import { connectWithRetry, type Unconnected } from "./tcp.ts";
import type { Ui } from "./ui.ts";

/** How long to try to connect to a port that the server says is open. */
const CONNECT_MS = 10_000;
/** The same from a port of ours, after which it is given up for any port. */
const BOUND_MS = 2_000;

export interface Destination {
  /** A host other than the server itself, which the server forwards to; undefined = the server. */
  readonly elsewhere: string | undefined;
  readonly port: number;
}

/** Opens a service and connects to it, from the port that it was opened for where that works. */
export async function connectThrough(
  plan: DoorPlan,
  to: Destination,
  bind: boolean,
  ui: Ui,
): Promise<{ readonly socket: Socket; readonly outcome: Outcome | undefined }> {
  if (bind) {
    const door = await openBoundDoor(plan, ui);
    const socket = await connect(door, to, door.localPort === undefined ? CONNECT_MS : BOUND_MS);
    if (socket instanceof Socket) return { socket, outcome: door.outcome };
    const isPorts = socket.why === "silent" || socket.why === "port";
    if (door.localPort === undefined || plan.otp !== undefined || !isPorts) throw unconnected(socket);
    ui.warn(
      `no connection from port ${door.localPort} (${socket.text}); this opens for others behind the same address too`,
    );
  }
  if (!plan.manner.replies) return { socket: await connectUnheard(plan, to, ui), outcome: undefined };
  const door = await openDoor(plan, ui);
  const socket = await connect(door, to, CONNECT_MS);
  if (!(socket instanceof Socket)) throw unconnected(socket);
  return { socket, outcome: door.outcome };
}

/** Nothing says when it is open: the packet is sent again while connections are tried. */
async function connectUnheard(plan: DoorPlan, to: Destination, ui: Ui): Promise<Socket> {
  const enough = new AbortController();
  const sending = openDoor({ ...plan, manner: { ...plan.manner, until: enough.signal } }, ui);
  const addresses = plan.targets.map(({ address }) => address);
  const socket = await connect({ outcome: undefined, addresses, localPort: undefined }, to, CONNECT_MS);
  enough.abort();
  await sending;
  if (!(socket instanceof Socket)) throw unconnected(socket);
  return socket;
}

async function connect(
  door: Door,
  { elsewhere, port }: Destination,
  timeout: number,
): Promise<Socket | Unconnected> {
  const addresses: readonly Address[] =
    elsewhere === undefined ? door.addresses : await resolveHosts([elsewhere], undefined);
  const targets = addresses.map((address) => ({ address, port }));
  return connectWithRetry(targets, {
    timeout,
    isOpen: door.outcome !== undefined,
    localPort: door.localPort,
  });
}

function unconnected({ text }: Unconnected): TockError {
  const hint = "is the service running, and does another firewall stand in the way?";
  return new TockError("io", `it was opened, but there is no connection: ${text}`, hint);
}
