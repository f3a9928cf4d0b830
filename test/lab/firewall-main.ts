import { flushCompileCache } from "node:module";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Grant } from "../../server/core/grant.ts";
import { cutConnections } from "../../server/firewall/connections.ts";
import { createFirewall } from "../../server/firewall/create.ts";
import { detectBackend } from "../../server/firewall/detect.ts";
import type { Variant } from "../../server/firewall/iptables-table.ts";
import { parseAddress, parseNetwork } from "../../shared/address.ts";
import type { ServiceName } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { type Result, unwrap } from "../../shared/result.ts";
import type { FirewallRequest } from "./firewall.ts";

/** The process behind test/lab/firewall.ts: one request a line in, `<id> <json>` out, log lines on standard error. */

const [backend = "", variant = ""] = process.argv.slice(2);
const log = (line: string): void => void process.stderr.write(`${line}\n`);
const now = (): number => performance.now();
let firewall = opened();
let changes = 0;
let talking: Socket | undefined;

function opened(): ReturnType<typeof create> {
  return create(backend as "iptables" | "nftables" | "dry-run");
}

function create(name: Parameters<typeof createFirewall>[0]) {
  return unwrap(createFirewall(name, { variant: variant as Variant, log, now }));
}

function wantedGrant(request: Extract<FirewallRequest, { op: "open" }>): Grant {
  const { source, ...rest } = request.grant;
  return { ...rest, source: unwrap(parseAddress(source)) } as unknown as Grant;
}

function handle(request: FirewallRequest): unknown {
  switch (request.op) {
    case "guardOn":
      return firewall.guardOn(request.plan);
    case "guardOff":
      return firewall.guardOff();
    case "guardState":
      return firewall.guardState(request.plan);
    case "open":
      return firewall.open(wantedGrant(request));
    case "close":
      return firewall.close(request.service as ServiceName, unwrap(parseAddress(request.source)));
    case "list":
      return firewall.list();
    case "detect":
      return detectBackend();
    case "watch":
      firewall.watch(() => changes++);
      return undefined;
    case "keep":
      firewall.watch(() => {
        const state = firewall.guardState(request.plan);
        if (!state.ok || state.value !== "on") unwrap(firewall.guardOn(request.plan));
      });
      return undefined;
    case "changes":
      return changes;
    case "reopen":
      firewall.dispose();
      firewall = opened();
      return undefined;
    case "cut":
      return cutConnections(unwrap(parseNetwork(request.source)), request.ports, log);
    case "serve":
      return new Promise<void>((resolve) => {
        const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
        server.listen(request.port, "::", resolve);
      });
    case "dial":
      return new Promise<void>((resolve, reject) => {
        talking = connect({ host: request.address, port: request.port, localPort: request.localPort });
        talking.once("connect", resolve).once("error", reject);
      });
    case "say":
      return new Promise<string>((resolve) => {
        talking?.once("data", (data) => resolve(data.toString()));
        talking?.write(request.text);
      });
    case "hangUp":
      talking?.resetAndDestroy();
      return undefined;
  }
}

async function answer(line: string): Promise<void> {
  const request = JSON.parse(line) as FirewallRequest & { id: number };
  const { id } = request;
  try {
    const value = await handle(request);
    const failed = value as Result<unknown> | undefined;
    if (failed?.ok === false) throw failed.error;
    const reply = failed?.ok === true ? failed.value : value;
    process.stdout.write(`${id} ${JSON.stringify({ value: reply })}\n`);
  } catch (error) {
    const { message, hint } = error as TockError;
    const code = error instanceof TockError ? error.code : "bug";
    process.stdout.write(`${id} ${JSON.stringify({ error: { code, message, hint } })}\n`);
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => void answer(line))
  .once("close", () => process.exit(0));
// Helpers end by signals, and Node would not write it then.
flushCompileCache();
process.stdout.write("ready\n");
