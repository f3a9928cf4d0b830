import type { Command } from "commander";
import { unwrap } from "../../shared/result.ts";
import { loadSettings } from "../config/load.ts";
import { Daemon } from "../daemon.ts";
import { leaveRoot } from "../leave-root.ts";
import { makeLog } from "../log.ts";
import { closeOff } from "../sys/privileges.ts";
import { configFile, settingsOf } from "./context.ts";

/** `tockd run`: the daemon, in the foreground. */
export function addRun(program: Command): void {
  program
    .command("run")
    .description("run the daemon in the foreground: JSON lines, or for people on a terminal")
    .option("--human", "log for people also where the output is no terminal")
    .option("--verbose", "log every change of the firewall too")
    .addHelpText(
      "after",
      "\nSignals:\n  SIGHUP           read the configuration anew, as tockd reload does\n  SIGTERM, SIGINT  stop; the guard and open grants stay as they are\n\nExample:\n  tockd run --human --verbose\n",
    )
    .action(async (flags: { human?: boolean; verbose?: boolean }, command: Command) => {
      const settings = settingsOf(command);
      const human = flags.human === true || process.stdout.isTTY;
      const verbose = flags.verbose === true;
      const file = configFile(command);
      leaveRoot(settings, file, makeLog({ human, verbose, sync: true }));
      closeOff();
      const log = makeLog({ human, verbose });
      // Until the daemon is ready the signal would be its end.
      const early = (): void => undefined;
      process.on("SIGHUP", early);
      const daemon = unwrap(await Daemon.start(settings, log, () => loadSettings(file)));
      process.on("SIGHUP", () => void daemon.reload());
      process.off("SIGHUP", early);
      await new Promise<void>((resolve) => {
        for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
      });
      await daemon.stop();
      log.info("stopped; the guard and open grants stay as they are");
      log.flush();
    });
}
