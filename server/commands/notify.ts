import type { DeviceId } from "../../shared/brand.ts";
import { callDaemon } from "../admin/client.ts";
import type { Settings } from "../config/settings.ts";
import type { Ui } from "../ui.ts";

/**
 * Tells the running daemon that devices were changed in the store, so that the change takes effect at once. No daemon
 * running is in order: the next one reads the store. A daemon that cannot be told is said aloud.
 */
export async function notifyDaemon(settings: Settings, ids: readonly DeviceId[], ui: Ui): Promise<void> {
  const told = await callDaemon(settings.server.socket, "devices-changed", { ids });
  if (told.ok || told.error.code === "not-found") return;
  ui.note(
    `tock: warning: the change is stored, but the running daemon was not told: ${told.error.message}\n`,
  );
  ui.note("tock: hint: it takes effect when the daemon is started again\n");
}
