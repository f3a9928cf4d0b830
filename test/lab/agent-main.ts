import { flushCompileCache } from "node:module";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint, ProbeResult, Request } from "./agent.ts";
import { PacketSender } from "./packet-sender.ts";

/** The agent's process: one request a line in, `<id> <json>` out. See agent.ts. */

const senders = new Map<string, PacketSender>();

function probe(to: Endpoint, timeout: number, from: Endpoint | undefined): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const local = from === undefined ? {} : { localAddress: from.address, localPort: from.port };
    const socket = connect({ host: to.address, port: to.port, ...local });
    const settle = (result: ProbeResult): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on("error", () => undefined);
      // A socket that still connects would go on sending SYNs until it can be reset.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
      resolve(result);
    };
    const timer = setTimeout(() => settle("filtered"), timeout);
    socket.once("connect", () => settle("open"));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ECONNRESET") settle("closed");
      else if (error.code === "EHOSTUNREACH" || error.code === "ENETUNREACH") settle("unreachable");
      else if (error.code === "ETIMEDOUT") settle("filtered");
      else {
        clearTimeout(timer);
        reject(error);
      }
    });
  });
}

function listen(protocol: "tcp" | "udp", at: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    if (protocol === "tcp") {
      const server = createServer((socket) => socket.on("error", () => undefined).resume());
      server.once("error", reject).listen(at.port, at.address, resolve);
      return;
    }
    const socket = createSocket({ type: at.address.includes(":") ? "udp6" : "udp4" });
    socket.on("message", (message, peer) => socket.send(message, peer.port, peer.address));
    socket.once("error", reject).bind(at.port, at.address, resolve);
  });
}

async function udp(
  to: Endpoint,
  from: Endpoint | undefined,
  payload: string,
  { wait, enough }: { readonly wait: number; readonly enough: number },
): Promise<string[]> {
  const socket = createSocket({ type: to.address.includes(":") ? "udp6" : "udp4", reuseAddr: true });
  const replies: string[] = [];
  const done = new AbortController();
  socket.on("message", (message) => {
    if (replies.push(message.toString("hex")) >= enough) done.abort();
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      const send = (): void =>
        socket.send(Buffer.from(payload, "hex"), to.port, to.address, (error) =>
          error ? reject(error) : resolve(),
        );
      if (from === undefined) send();
      else socket.bind(from.port, from.address, send);
    });
    socket.removeAllListeners("error").on("error", () => undefined);
    await sleep(wait, undefined, { signal: done.signal }).catch(() => undefined);
  } finally {
    socket.close();
  }
  return replies;
}

async function frames(device: string, hex: readonly string[], gap: number): Promise<void> {
  const sender = senders.get(device) ?? new PacketSender(device);
  senders.set(device, sender);
  for (const frame of hex) {
    sender.send(Buffer.from(frame, "hex"));
    if (gap > 0) await sleep(gap);
  }
}

function handle(request: Request): Promise<unknown> {
  if (request.op === "connect") return probe(request.to, request.timeout, request.from);
  if (request.op === "listen") return listen(request.protocol, request.at);
  if (request.op === "udp") return udp(request.to, request.from, request.payload, request);
  return frames(request.device, request.frames, request.gap);
}

async function answer(line: string): Promise<void> {
  const request = JSON.parse(line) as Request & { id: number };
  const reply = await handle(request).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
  );
  process.stdout.write(`${request.id} ${JSON.stringify(reply)}\n`);
}

createInterface({ input: process.stdin })
  .on("line", (line) => void answer(line))
  .once("close", () => process.exit(0));
// Helpers end by signals, and Node would not write it then.
flushCompileCache();
process.stdout.write("ready\n");
