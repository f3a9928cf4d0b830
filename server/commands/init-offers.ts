import { TockError } from "../../shared/errors.ts";
import type { Settings } from "../config/settings.ts";
import { runCommand } from "../firewall/command.ts";
import { yes } from "../init/guide.ts";
import type { Person } from "../person.ts";
import { hasUnits, isSystemd, startCommand } from "../sys/units.ts";
import { printError } from "../ui.ts";
import type { Context } from "./context.ts";
import { startTrial } from "./guard-trial.ts";

/** What `tockd init` offers once everything is made. */

const TRIAL_SECONDS = 60;

/** Starts the daemon, now and at every boot, where systemd runs and has its unit. */
export async function offerStart(person: Person, { ui }: Context): Promise<void> {
  if (!hasUnits() || !isSystemd()) return;
  if (!(await yes(person, ui, "\nstart the daemon now, and at every boot?", true))) return;
  const started = runCommand(["systemctl", "enable", "--now", "tockd", "tock-guard"], () => undefined);
  if (started.ok) ui.note("the daemon runs; no port is shut yet\n");
  else printError(started.error, ui);
}

/**
 * Puts the guard on trial, after the checks of `tockd guard on`; where they refuse, it is asked again. For a device that has
 * its link: what it takes before is told in the order in which it is done.
 */
export async function offerGuard(person: Person, settings: Settings, context: Context): Promise<void> {
  const { ui } = context;
  ui.note(`
the guard shuts the protected ports to all but devices. Before it can be put on:
  here, if the daemon does not run yet, in another terminal: ${startCommand()}
  on the device: tock enroll -, and paste the link
  on the device: tock ping ${settings.server.name}, which the server answers
`);
  while (
    await yes(person, ui, `once it has answered: put the guard on, on trial for ${TRIAL_SECONDS} s?`, false)
  ) {
    try {
      await startTrial(TRIAL_SECONDS, {}, settings, context);
      return;
    } catch (error) {
      if (!(error instanceof TockError)) throw error;
      printError(error, ui);
    }
  }
}
