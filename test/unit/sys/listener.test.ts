import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { listenerOf } from "../../../server/sys/listener.ts";
import { scratch } from "../../support/tockd.ts";

test("who listens on a Unix socket is found, and nobody once that has ended", async () => {
  const path = join(scratch(), "a socket.sock");
  expect(listenerOf(path)).toBeUndefined();
  const server = createServer().listen(path);
  await once(server, "listening");
  expect(listenerOf(path)).toBe(process.pid);
  server.close();
  await once(server, "close");
  expect(listenerOf(path)).toBeUndefined();
});
