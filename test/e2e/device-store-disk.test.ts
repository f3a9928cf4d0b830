import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { scratch } from "../support/tockd.ts";

/** Runs a script on a small file system of its own. `$STATE` is its folder, `$FILL USER [COUNT]` adds devices there. */
function onOwnDisk(script: string): string[] {
  const fill = fileURLToPath(new URL("../support/fill-store.ts", import.meta.url));
  const folder = scratch();
  const all = `mount -t tmpfs -o size=400k,mode=700 tmpfs "$STATE" && ${script}`;
  const env = { ...process.env, STATE: folder, FILL: `${process.execPath} ${fill} ${folder}` };
  const said = execFileSync("unshare", ["-m", "sh", "-c", all], { encoding: "utf8", env });
  return said.replaceAll(folder, "STATE").trim().split("\n");
}

describe("a device store whose disk", () => {
  test("is full says so, keeps what it has, and works again when there is room", () => {
    const said = onOwnDisk('head -c 150k /dev/zero > "$STATE/fat"; $FILL a; rm "$STATE/fat"; $FILL b 1');
    const errors = said.filter((line) => line.includes(":"));
    expect(errors).toEqual(["io: device store STATE/tock.db: the disk is full"]);
    expect(said.indexOf(errors[0] ?? "")).toBeGreaterThan(1);
    expect(said.at(-1)).toBe("b/d0");
  });

  test("cannot be written says so", () => {
    const said = onOwnDisk('$FILL a 2 && mount -o remount,ro "$STATE" && $FILL b');
    expect(said).toEqual(["a/d0", "a/d1", "io: device store STATE/tock.db: cannot be opened for writing"]);
  });
});
