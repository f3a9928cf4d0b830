import { existsSync } from "node:fs";
import { join } from "node:path";

/** Where the package puts its units, and where others put theirs. */
const PLACES = ["lib/systemd/system", "etc/systemd/system"];

/** Whether the daemon's unit is here. `root` is for tests. */
export function hasUnits(root = "/"): boolean {
  return PLACES.some((folder) => existsSync(join(root, folder, "tockd.service")));
}

/** What starts the daemon here: systemd, where it runs and has the unit; else it is started by hand. */
export function startCommand(root = "/"): string {
  return isSystemd(root) && hasUnits(root) ? "systemctl start tockd" : "tockd run";
}

/** sd_booted(3). */
export function isSystemd(root = "/"): boolean {
  return existsSync(join(root, "run/systemd/system"));
}
