import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The folder that the client keeps its profiles in: TOCK_HOME where it is set, else a folder `tock` in the place that
 * the platform has for configuration.
 */
export function tockHome(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const own = env["TOCK_HOME"];
  if (own !== undefined && own !== "") return own;
  return join(configFolder(env, platform), "tock");
}

function configFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  if (platform === "win32") return env["APPDATA"] ?? join(homedir(), "AppData", "Roaming");
  if (platform === "darwin") return join(homedir(), "Library", "Application Support");
  const xdg = env["XDG_CONFIG_HOME"];
  // The XDG base directory specification: a relative path is to be ignored.
  if (xdg?.startsWith("/") === true) return xdg;
  // What homedir() would say, too; but to load node:os takes longer than to make a packet.
  const home = env["HOME"];
  return join(home === undefined || home === "" ? homedir() : home, ".config");
}
