import { existsSync } from "node:fs";
import { TockError } from "../../shared/errors.ts";
import type { Settings } from "../config/settings.ts";
import { runCommand } from "../firewall/command.ts";
import { yes } from "../init/guide.ts";
import type { Person } from "../person.ts";
import { printError } from "../ui.ts";
import type { Context } from "./context.ts";
import { startTrial } from "./guard-trial.ts";

/** What `tockd init` offers once everything is made. */

const UNIT = "/lib/systemd/system/tockd.service";
const TRIAL_SECONDS = 60;

/** Whether the package's units are here. */
export function hasUnits(): boolean {
  return existsSync(UNIT);
}

/** Starts the daemon, now and at every boot, where systemd runs and has its unit. */
export async function offerStart(person: Person, { ui }: Context): Promise<void> {
  if (!hasUnits() || !existsSync("/run/systemd/system")) return;
  if (!(await yes(person, ui, "\nstart the daemon now, and at every boot?", true))) return;
  const started = runCommand(["systemctl", "enable", "--now", "tockd", "tock-guard"], () => undefined);
  if (started.ok) ui.note("the daemon runs; no port is shut yet\n");
  else printError(started.error, ui);
}

/** Puts the guard on trial, after the checks of `tockd guard on`; where they refuse, it is asked again. */
export async function offerGuard(person: Person, settings: Settings, context: Context): Promise<void> {
  const { ui } = context;
  ui.note(`
the guard shuts the protected ports to all but devices. It needs a daemon that runs, and a device that has reached it:
on the device, tock enroll and then tock ping ${settings.server.name}
`);
  while (await yes(person, ui, `put it on now, on trial for ${TRIAL_SECONDS} s?`, false)) {
    try {
      await startTrial(TRIAL_SECONDS, {}, settings, context);
      return;
    } catch (error) {
      if (!(error instanceof TockError)) throw error;
      printError(error, ui);
    }
  }
}
