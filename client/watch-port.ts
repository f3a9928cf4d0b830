import { Socket } from "node:net";
import { isDone } from "./report.ts";
import { tcpPort } from "./service-port.ts";
import type { Manner, Outcome } from "./session.ts";
import { connectWithRetry } from "./tcp.ts";
import type { Asked, Watched } from "./tell-open.ts";

const LEAST_MS = 3_000;

/** Takes the service's own TCP port for the answer: connects, and lets go at once. `outcome` is what the server said. */
export async function watchPort(
  { service, targets, manner }: Asked,
  outcome: Outcome | undefined,
): Promise<Watched> {
  const port = tcpPort(service) ?? 0;
  const places = targets.map(({ address }) => ({ address, port }));
  const timeout = Math.max(manner.timing.timeout, LEAST_MS);
  const socket = await connectWithRetry(places, {
    timeout,
    isOpen: outcome !== undefined && isDone(outcome),
  });
  if (!(socket instanceof Socket)) return { open: false, reason: socket.text };
  const address = socket.remoteAddress ?? "";
  socket.destroy();
  return { open: true, address };
}

/** The same while a packet that asks for no reply is sent again and again. */
export async function watchWhile(
  asked: Asked,
  send: (manner: Manner) => Promise<Outcome>,
): Promise<{ readonly outcome: Outcome; readonly seen: Watched }> {
  const enough = new AbortController();
  const sending = send({ ...asked.manner, until: enough.signal });
  const seen = await watchPort(asked, undefined);
  enough.abort();
  return { outcome: await sending, seen };
}
