import { createSocket } from "node:dgram";
import { connect } from "node:net";
import type { Address } from "../shared/address.ts";
import { sleep } from "./options.ts";

/** A knock is one packet to each port, in order: a TCP SYN or a UDP datagram. What comes back is of no interest. */
export type Transport = "tcp" | "udp";
export const TRANSPORTS: readonly Transport[] = ["tcp", "udp"];
export const DEFAULT_SPACING_MS = 20;

/** TCP sends a SYN again after 1 s (RFC 6298 §2), which would be a second knock: the socket is gone before. */
const SYN_LIFE_MS = 400;

/** Sends the sequence to one address, `spacing` ms between the ports. Gives the reason where a packet could not be sent. */
export async function sendKnock(
  address: Address,
  ports: readonly number[],
  transport: Transport,
  spacing: number,
): Promise<string | undefined> {
  const sent: Promise<string | undefined>[] = [];
  for (const [index, port] of ports.entries()) {
    if (index > 0) await sleep(spacing);
    const { out, done } = (transport === "tcp" ? sendSyn : sendDatagram)(address, port);
    // The order on the wire is the sequence: the next one waits until this one is out.
    await out;
    sent.push(done);
  }
  return (await Promise.all(sent)).find((reason) => reason !== undefined);
}

interface Sending {
  /** The packet has been handed to the kernel. */
  readonly out: Promise<void>;
  /** The socket is gone; gives the reason where nothing was sent. */
  readonly done: Promise<string | undefined>;
}

const NO_WAY: ReadonlySet<string> = new Set([
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
  "EAFNOSUPPORT",
]);

function sendSyn(address: Address, port: number): Sending {
  const socket = connect({ host: address.text, port });
  const out = Promise.withResolvers<void>();
  const done = Promise.withResolvers<string | undefined>();
  const finish = (reason?: string): void => {
    clearTimeout(timer);
    socket.destroy();
    out.resolve();
    done.resolve(reason);
  };
  const timer = setTimeout(finish, SYN_LIFE_MS);
  // The event comes just before the system call that sends the SYN, and in the same turn.
  socket.once("connectionAttempt", () => setImmediate(out.resolve));
  socket.once("connect", () => finish());
  socket.once("error", (error: NodeJS.ErrnoException) =>
    finish(NO_WAY.has(error.code ?? "") ? error.message : undefined),
  );
  return { out: out.promise, done: done.promise };
}

function sendDatagram(address: Address, port: number): Sending {
  const socket = createSocket(address.family === 4 ? "udp4" : "udp6");
  const done = new Promise<string | undefined>((resolve) => {
    socket.on("error", () => undefined);
    socket.send(Uint8Array.of(0), port, address.text, (error) => {
      socket.close();
      resolve(error?.message);
    });
  });
  return { out: done.then(() => undefined), done };
}
