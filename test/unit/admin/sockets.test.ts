import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { callDaemon, lookAtDaemon } from "../../../server/admin/client.ts";
import { LOOKING, viewSocket } from "../../../server/admin/methods.ts";
import { serveAdmin } from "../../../server/admin/server.ts";
import { ok, unwrap } from "../../../shared/result.ts";
import { scratch } from "../../support/tockd.ts";

const isRoot = process.geteuid?.() === 0;
const closing = (server: Server): void => {
  onTestFinished(() => {
    server.close();
  });
};

describe("the sockets", () => {
  test("one is its owner's alone, the other a group's, and the folder is made", async () => {
    const path = join(scratch(), "run", "tockd.sock");
    closing(unwrap(await serveAdmin(path, {}, {})));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    if (!isRoot) return;
    const view = viewSocket(path);
    closing(unwrap(await serveAdmin(view, { group: 4242 }, {})));
    expect([statSync(view).mode & 0o777, statSync(view).gid]).toEqual([0o660, 4242]);
  });

  test("who may look may not change", async () => {
    const path = join(scratch(), "view.sock");
    closing(unwrap(await serveAdmin(path, {}, { grants: () => ok([]) })));
    expect(unwrap(await lookAtDaemon(path, "grants", undefined))).toEqual([]);
    for (const method of ["guard-off", "reload"] as const) {
      expect(await callDaemon(path, method, undefined)).toMatchObject({
        ok: false,
        error: { code: "permission", message: `"${method}" is not for this socket` },
      });
    }
    expect(LOOKING).toEqual(["status", "grants", "events", "metrics"]);
  });

  test("who names a socket that refuses is told of that one", async () => {
    const path = join(scratch(), "tockd-view.sock");
    closing(unwrap(await serveAdmin(path, {}, {})));
    expect(await lookAtDaemon(path, "grants", undefined)).toMatchObject({
      ok: false,
      error: { code: "permission" },
    });
  });

  test("a daemon that hangs is waited for no longer than the time for an answer", async () => {
    const path = join(scratch(), "tockd.sock");
    const silent = createServer();
    closing(silent.listen(path));
    await once(silent, "listening");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const told = callDaemon(path, "guard-on", undefined);
    const [caller] = (await once(silent, "connection")) as [Socket];
    await once(caller, "data");
    await vi.advanceTimersByTimeAsync(31_000);
    // It may be healthy: it is to be asked once more before it is killed.
    const hint = new RegExp(`tockd status\\. If that is silent too .*kill -KILL ${process.pid}`);
    expect(await told).toMatchObject({
      ok: false,
      error: { code: "no-reply", hint: expect.stringMatching(hint) as string },
    });
  });

  test("a daemon that takes no more callers is told apart from none", async () => {
    const path = join(scratch(), "tockd.sock");
    const hang = `require("net").createServer().listen({ path: "${path}", backlog: 1 }, () => {
      process.stdout.write("up", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    })`;
    const child = spawn(process.execPath, ["-e", hang], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const waiting = [1, 2].map(() => connect(path).on("error", () => undefined));
    onTestFinished(() => waiting.forEach((socket) => socket.destroy()));
    await Promise.all(waiting.map((socket) => once(socket, "connect")));
    expect(await callDaemon(path, "guard-off", undefined)).toMatchObject({
      ok: false,
      error: { code: "no-reply", message: expect.stringMatching(/does not answer/) as string },
    });
  });

  test("a socket left behind is replaced, one that answers is not", async () => {
    const path = join(scratch(), "tockd.sock");
    const dead = createServer().listen(`${path}.dead`);
    await once(dead, "listening");
    renameSync(`${path}.dead`, path);
    dead.close();
    expect(statSync(path).isSocket()).toBe(true);
    closing(unwrap(await serveAdmin(path, {}, {})));
    expect(await serveAdmin(path, {}, {})).toMatchObject({ ok: false, error: { code: "exists" } });
    expect(await callDaemon(join(scratch(), "none.sock"), "status", undefined)).toMatchObject({
      ok: false,
      error: { code: "not-found" },
    });
  });

  test.each(["file", "folder", "link"])("a %s where the socket should be stays as it is", async (kind) => {
    const folder = scratch();
    const [path, other] = [join(folder, "it"), join(folder, "other")];
    writeFileSync(other, "precious");
    if (kind === "file") writeFileSync(path, "precious");
    else if (kind === "folder") mkdirSync(path);
    else symlinkSync(other, path);
    expect(await serveAdmin(path, {}, {})).toMatchObject({
      ok: false,
      error: {
        message: `socket: ${path} is not a socket`,
        hint: "name a path that is free with [server] socket, or take away what is there",
      },
    });
    if (kind === "folder") expect(statSync(path).isDirectory()).toBe(true);
    else expect(readFileSync(path, "utf8")).toBe("precious");
    expect(readFileSync(other, "utf8")).toBe("precious");
  });

  test("an error after it listens, such as no file descriptor for a caller, ends nothing", async () => {
    const path = join(scratch(), "tockd.sock");
    const server = unwrap(await serveAdmin(path, {}, { grants: () => ok([]) }));
    closing(server);
    for (let n = 0; n < 3; n++) server.emit("error", new Error("accept EMFILE"));
    expect(unwrap(await callDaemon(path, "grants", undefined))).toEqual([]);
  });

  test("the names of the two go together", () => {
    expect(viewSocket("/run/tock/tockd.sock")).toBe("/run/tock/tockd-view.sock");
    expect(viewSocket("/run/tock/admin")).toBe("/run/tock/admin-view");
  });
});
