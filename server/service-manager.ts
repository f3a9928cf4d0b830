import type { DataPath } from "./data-path.ts";
import { sdNotify } from "./sys/sd-notify.ts";
import { watchdogInterval } from "./watchdog.ts";

/** Tells systemd, where it runs this, that the daemon is ready, and from then on that packets are seen. Gives the farewell. */
export function joinServiceManager(path: Pick<DataPath, "watch">): () => void {
  const interval = watchdogInterval(process.env);
  if (interval !== undefined) path.watch(() => sdNotify("WATCHDOG=1"), interval);
  sdNotify("READY=1");
  return () => sdNotify("STOPPING=1");
}
