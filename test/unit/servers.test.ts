import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Metrics, serveMetrics } from "../../server/metrics.ts";
import { serveWeb } from "../../server/web-server.ts";
import { unwrap } from "../../shared/result.ts";

const metrics = new Metrics({
  drops: () => ({}),
  capture: () => ({ received: 0, lost: 0, refused: 0, delivered: 0 }),
  grantsOpen: () => 0,
  devices: () => 0,
  tags: () => 0,
  guard: () => "on",
  clock: () => undefined,
  trail: () => ({ seq: 0, waiting: 0, lost: 0, trouble: undefined }),
  version: "1",
});
const page = new Map([["metrics", Buffer.from("hello")]]);

test.each([
  ["metrics", () => serveMetrics(metrics, "127.0.0.1", 0)],
  ["the web client", () => serveWeb(page, undefined, "127.0.0.1", 0)],
] as const)("an error after the server of %s listens ends nothing", async (_name, serve) => {
  const server = unwrap(await serve());
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  for (let n = 0; n < 3; n++) server.emit("error", new Error("accept EMFILE"));
  const { port } = server.address() as AddressInfo;
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
});
