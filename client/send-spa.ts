import { createSocket, type Socket } from "node:dgram";
import type { Address } from "../shared/address.ts";
import type { UnixMillis } from "../shared/brand.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Reply, SpaPacket } from "./spa-packet.ts";

/** Where a packet goes. */
export interface Target {
  readonly address: Address;
  readonly port: number;
}

/** A packet and its way: each target gets a packet of its own. */
export interface Shipment {
  readonly target: Target;
  readonly packet: SpaPacket;
}

/** What became of a packet. */
export type Delivery = { readonly target: Target } & (
  | {
      readonly state: "answered";
      readonly reply: Reply;
      /** Whether what was asked for was done. */
      readonly done: boolean;
      /** Milliseconds from the last time that the packet was sent. */
      readonly roundTrip: number;
      /** By this machine's clock. */
      readonly receivedAt: UnixMillis;
      /** The address and port that this machine sent from. */
      readonly local: { readonly address: string; readonly port: number };
    }
  /** `unreachable`: an ICMP message says that nothing listens there, which a daemon that only watches allows. */
  | { readonly state: "silent"; readonly unreachable: boolean }
  | { readonly state: "unsent"; readonly reason: string }
);
export type Answered = Extract<Delivery, { state: "answered" }>;

export interface Timing {
  /** Milliseconds from the start at which the same bytes are sent, again and again until a reply comes. */
  readonly schedule: readonly number[];
  /** Milliseconds until silence is taken for an answer. 0 = send once and wait for nothing. */
  readonly timeout: number;
  /** Milliseconds that the other targets get once one has said yes. */
  readonly grace: number;
  /** The same once one has said no: another family may be allowed what this one is not. */
  readonly graceAfterNo: number;
}

const SCHEDULE = [0, 150, 400, 900, 1600, 2400];
/** Once one target has said yes the others get their packet again at this pace, so that loss does not leave them out. */
const HURRY = [50, 120, 190, 270];
export const DEFAULT_TIMEOUT_MS = 3_000;

/** The usual schedule, for a patience of `timeout` ms; after its end one more packet each 1.5 s. */
export function timingFor(timeout: number): Timing {
  const late = Array.from(
    { length: Math.max(0, Math.ceil((timeout - 3_900) / 1_500)) },
    (_, i) => 3_900 + i * 1_500,
  );
  return {
    schedule: [...SCHEDULE, ...late].filter((at) => at === 0 || at < timeout),
    timeout,
    grace: 400,
    graceAfterNo: 600,
  };
}

export interface SendOptions {
  /** Send from this port of ours, on each family. */
  readonly localPort?: number | undefined;
  /** Ends the waiting. */
  readonly until?: AbortSignal | undefined;
  readonly clock?: Clock;
}

/**
 * Sends each packet to its target at once and waits for the replies. Sockets are connected, so the kernel passes on
 * only what comes from the address and port that were asked; `packet.read` then tells a reply from anything else.
 */
export async function sendSpa(
  shipments: readonly Shipment[],
  timing: Timing,
  options: SendOptions = {},
): Promise<Delivery[]> {
  const waiting = new Waiting();
  const stop = (): void => waiting.stop();
  if (options.until?.aborted) stop();
  options.until?.addEventListener("abort", stop, { once: true });
  const timers: NodeJS.Timeout[] = [];
  const results = shipments.map(async (shipment) => {
    const delivery = await deliver(shipment, timing, options, waiting);
    if (delivery.state !== "answered") return delivery;
    if (delivery.done) waiting.hurry();
    timers.push(setTimeout(stop, delivery.done ? timing.grace : timing.graceAfterNo));
    return delivery;
  });
  const deliveries = await Promise.all(results);
  for (const timer of timers) clearTimeout(timer);
  options.until?.removeEventListener("abort", stop);
  return deliveries;
}

/** One delivery that no reply has ended yet. */
interface Pending {
  hurry(): void;
  silent(): void;
}

/** The deliveries that wait for a reply. Abort signals would do, and take longer to load than a packet to be made. */
class Waiting {
  readonly #all = new Set<Pending>();
  #stopped = false;

  add(pending: Pending): void {
    this.#all.add(pending);
    if (this.#stopped) pending.silent();
  }

  remove(pending: Pending): void {
    this.#all.delete(pending);
  }

  hurry(): void {
    for (const pending of this.#all) pending.hurry();
  }

  /** Ends them all, and those to come. */
  stop(): void {
    this.#stopped = true;
    for (const pending of this.#all) pending.silent();
  }
}

async function deliver(
  shipment: Shipment,
  timing: Timing,
  options: SendOptions,
  waiting: Waiting,
): Promise<Delivery> {
  const { target, packet } = shipment;
  const clock = options.clock ?? systemClock;
  const socket =
    target.address.family === 4 ? createSocket("udp4") : createSocket({ type: "udp6", ipv6Only: true });
  const connected = await connect(socket, target, options.localPort);
  if (connected !== undefined) return { target, state: "unsent", reason: connected };
  const timers: NodeJS.Timeout[] = [];
  let pending: Pending | undefined;
  let sentAt = clock.tick();
  let sent = false;
  let unreachable = false;
  try {
    return await new Promise<Delivery>((resolve) => {
      const silent = (): void => resolve({ target, state: "silent", unreachable });
      const send = (again = true): void => {
        sentAt = clock.tick();
        socket.send(packet.datagram, (error: NodeJS.ErrnoException | null) => {
          const code = error?.code;
          // The kernel tells of an earlier ICMP message in place of sending; then once more.
          if (code === "ECONNREFUSED" && again) return send(false);
          if (error !== null && code !== "ECONNREFUSED" && !sent) {
            return resolve({ target, state: "unsent", reason: error.message });
          }
          sent = true;
          if (timing.timeout === 0) silent();
        });
      };
      socket.on("error", () => {
        unreachable = true;
      });
      socket.on("message", (datagram) => {
        const reply = packet.read(datagram);
        if (reply === undefined) return;
        const { address, port } = socket.address();
        const roundTrip = clock.tick() - sentAt;
        resolve({
          target,
          state: "answered",
          reply,
          done: reply.result === packet.wanted,
          roundTrip,
          receivedAt: clock.now(),
          local: { address, port },
        });
      });
      send();
      if (timing.timeout === 0) return;
      const sendAt = (schedule: readonly number[]): void => {
        timers.push(...schedule.map((at) => setTimeout(send, at)));
      };
      sendAt(timing.schedule.filter((at) => at > 0));
      timers.push(setTimeout(silent, timing.timeout));
      pending = { silent, hurry: () => sendAt(HURRY) };
      waiting.add(pending);
    });
  } finally {
    if (pending !== undefined) waiting.remove(pending);
    for (const timer of timers) clearTimeout(timer);
    socket.close();
  }
}

/** Binds and connects; gives the reason where that fails (no route, port in use), and closes the socket. */
async function connect(
  socket: Socket,
  { address, port }: Target,
  localPort: number | undefined,
): Promise<string | undefined> {
  try {
    // The older way loads Node's clusters and child processes, which takes longer than a reply from nearby.
    if ("connectSync" in socket) {
      socket.bindSync({ port: localPort ?? 0 });
      socket.connectSync(port, address.text);
    } else {
      await connectLater(socket, address.text, port, localPort);
    }
    return undefined;
  } catch (error) {
    socket.close();
    return (error as Error).message;
  }
}

/** For Node before 26. */
function connectLater(
  socket: Socket,
  address: string,
  port: number,
  localPort: number | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ port: localPort ?? 0, exclusive: true }, () => {
      socket.connect(port, address, (error?: Error) => {
        socket.off("error", reject);
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  });
}
