import { execFileSync } from "node:child_process";
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

test.runIf(process.geteuid?.() === 0)("where nothing can be read of the kernel it is nobody", () => {
  const source = new URL("../../../server/sys/listener.ts", import.meta.url).href;
  const program = `const { listenerOf } = await import(${JSON.stringify(source)}); console.log(listenerOf("/x.sock"))`;
  const script = 'mount -t tmpfs none /proc && exec "$0" --input-type=module -e "$1"';
  const printed = execFileSync("unshare", ["-m", "sh", "-c", script, process.execPath, program], {
    encoding: "utf8",
  });
  expect(printed).toBe("undefined\n");
});
