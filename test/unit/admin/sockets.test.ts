import { statSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
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

  test("a socket left behind is replaced, one that answers is not", async () => {
    const path = join(scratch(), "tockd.sock");
    writeFileSync(path, "");
    closing(unwrap(await serveAdmin(path, {}, {})));
    expect(await serveAdmin(path, {}, {})).toMatchObject({ ok: false, error: { code: "exists" } });
    expect(await callDaemon(join(scratch(), "none.sock"), "status", undefined)).toMatchObject({
      ok: false,
      error: { code: "not-found" },
    });
  });

  test("the names of the two go together", () => {
    expect(viewSocket("/run/tock/tockd.sock")).toBe("/run/tock/tockd-view.sock");
    expect(viewSocket("/run/tock/admin")).toBe("/run/tock/admin-view");
  });
});
