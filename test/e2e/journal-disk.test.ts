import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

/** Runs the script on a small file system of its own, in a mount namespace of its own. */
function onSmallDisk(): Record<string, unknown> {
  const folder = mkdtempSync(join(tmpdir(), "tock-disk-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const script = fileURLToPath(new URL("../support/journal-disk.ts", import.meta.url));
  const command = 'mount -t tmpfs -o size=256k,mode=700 tmpfs "$1" && exec "$2" "$3" "$1"';
  const said = execFileSync("unshare", ["-m", "sh", "-ec", command, "sh", folder, process.execPath, script]);
  return JSON.parse(said.toString().replaceAll(folder, "DISK")) as Record<string, unknown>;
}

test("a replay journal whose disk is full says so, takes nothing, and goes on when there is room", () => {
  expect(onSmallDisk()).toEqual({
    full: "journal: cannot write to DISK/journal: ENOSPC",
    again: "journal: cannot write to DISK/journal: ENOSPC",
    grown: 0,
    restarted: 1024,
    entries: 1025,
    distrust: null,
    slot: Array(3).fill("journal: cannot write to DISK/journal: ENOSPC"),
    slots: 2048 - 1025 + 1,
    "no-new": "journal: DISK/journal is missing, and no new one can be made: ENOSPC",
    left: false,
    new: "missing",
  });
});
