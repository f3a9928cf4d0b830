import type { Host } from "./host.ts";
import { eventually, sleep } from "./wait.ts";

const TICK = 100;

/** A TCP connection whose server speaks by itself, and whose client only listens. */
export interface Ticking extends AsyncDisposable {
  /** Waits until something more has come. */
  more(): Promise<void>;
  /** Waits until nothing more comes. */
  stops(): Promise<void>;
}

/** `at` is where the server listens; `to` is where the client goes, where that is not the same. */
export async function ticking(
  server: Host,
  client: Host,
  at: { readonly address: string; readonly port: number },
  to = at,
): Promise<Ticking> {
  const serve = `require("net").createServer((socket) => {
    const timer = setInterval(() => socket.write("."), ${TICK});
    socket.on("error", () => undefined).on("close", () => clearInterval(timer)).resume();
  }).listen({ host: "${at.address}", port: ${at.port} }, () => console.log("ready"));`;
  const there = server.start([process.execPath, "-e", serve]);
  await there.waitFor(/ready/);
  const listen = `require("net").connect(${to.port}, "${to.address}").pipe(process.stdout);`;
  const here = client.start([process.execPath, "-e", listen]);
  const count = (): number => here.stdout.length;
  const more = async (): Promise<void> => {
    const before = count();
    await eventually("something more comes", () => count() > before);
  };
  await more();
  return {
    more,
    stops: async () => {
      await eventually("nothing more comes", async () => {
        const before = count();
        await sleep(10 * TICK);
        return count() === before;
      });
    },
    [Symbol.asyncDispose]: async () => {
      await here.stop();
      await there.stop();
    },
  };
}
