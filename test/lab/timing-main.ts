import { randomBytes, randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { Device } from "./device.ts";

/**
 * A stranger who measures: sends a packet of each kind, in random order, and right after it something that the server
 * answers; how long that takes is all that could tell him how far his packet got. Reads an {@link Order} from standard
 * input and prints {@link Timings}.
 */

export const KINDS = ["nothing", "wrong tag", "right tag, wrong MAC", "replay"] as const;
/** The SYN-ACK of an open port, which anybody sees; the answer to an enrolled device, which only somebody on the path sees. */
export const PROBES = ["open port", "owner's reply"] as const;

export interface Order {
  readonly link: string;
  readonly server: string;
  readonly port: number;
  readonly openPort: number;
  /** Addresses of this host: the stranger's, and the owner's. */
  readonly stranger: string;
  readonly owner: string;
  /** Of each kind, with each probe. */
  readonly samples: number;
}

/** Microseconds, by probe and kind. */
export interface Timings {
  readonly micros: Record<string, Record<string, number[]>>;
  /** Datagrams that came back to the stranger. */
  readonly answered: number;
  /** Probes that got no answer within their time. */
  readonly lost: number;
}

const PATIENCE = 1_000;
const PING = { type: "ping", service: undefined, replyWanted: true } as const;

async function bound(address: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

/** Undefined where there is no answer in time. */
function timed(start: (done: () => void) => () => void): Promise<number | undefined> {
  return new Promise((resolve) => {
    const from = performance.now();
    const stop = start(() => {
      const took = (performance.now() - from) * 1000;
      clearTimeout(timer);
      stop();
      resolve(took);
    });
    const timer = setTimeout(() => {
      stop();
      resolve(undefined);
    }, PATIENCE);
  });
}

async function measure(order: Order): Promise<Timings> {
  const device = new Device(order.link);
  const [stranger, owner] = [await bound(order.stranger), await bound(order.owner)];
  let answered = 0;
  let lost = 0;
  stranger.on("message", () => answered++);
  const send = (socket: Socket, payload: Buffer): void => socket.send(payload, order.port, order.server);
  const ask = (payload: Buffer): Promise<number | undefined> =>
    timed((done) => {
      owner.once("message", done);
      send(owner, payload);
      return () => owner.off("message", done);
    });
  const knockOpen = (): Promise<number | undefined> =>
    timed((done) => {
      const socket = connect({ host: order.server, port: order.openPort, localAddress: order.stranger });
      socket.once("connect", done).on("error", () => undefined);
      return () => socket.destroy();
    });
  const micros: Timings["micros"] = {};
  for (const probe of PROBES) micros[probe] = Object.fromEntries(KINDS.map((kind) => [kind, []]));
  const left = PROBES.flatMap((probe) =>
    KINDS.flatMap((kind) => Array.from({ length: order.samples }, () => ({ probe, kind }))),
  );
  while (left.length > 0) {
    const [next] = left.splice(randomInt(left.length), 1);
    if (next === undefined) break;
    // The same work for every kind, and before the clock runs.
    const used = device.packet(PING);
    const spoilt = device.packet(PING);
    spoilt[spoilt.length - 1] = (spoilt[spoilt.length - 1] ?? 0) ^ 1;
    const asked = device.packet(PING);
    if ((await ask(used)) === undefined) lost++;
    const payload = {
      nothing: undefined,
      "wrong tag": randomBytes(144),
      "right tag, wrong MAC": spoilt,
      replay: used,
    };
    const sent = payload[next.kind];
    if (sent !== undefined) send(stranger, sent);
    const took = next.probe === "open port" ? await knockOpen() : await ask(asked);
    if (took === undefined) lost++;
    else micros[next.probe]?.[next.kind]?.push(took);
  }
  stranger.close();
  owner.close();
  return { micros, answered, lost };
}

process.stdout.write(`${JSON.stringify(await measure(JSON.parse(await text(process.stdin)) as Order))}\n`);
