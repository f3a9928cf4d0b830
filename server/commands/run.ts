import type { Command } from "commander";
import { unwrap } from "../../shared/result.ts";
import { loadAsDaemon } from "../daemon-eyes.ts";
import type { Settings } from "../config/settings.ts";
import { Daemon } from "../daemon.ts";
import { keepLastGood, settingsToStart } from "../last-good.ts";
import { leaveRoot } from "../leave-root.ts";
import { makeLog } from "../log.ts";
import { goOnWithoutOutput } from "../output.ts";
import { closeOff } from "../sys/privileges.ts";
import { Failures } from "../ui.ts";
import { configFile } from "./context.ts";

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
      const human = flags.human === true || process.stdout.isTTY;
      const verbose = flags.verbose === true;
      const file = configFile(command);
      const start = settingsToStart(file);
      if (!start.ok) throw new Failures(start.error);
      const { settings, mistakes } = start.value;
      leaveRoot(settings, file, makeLog({ human, verbose, sync: true }));
      closeOff();
      goOnWithoutOutput();
      const log = makeLog({ human, verbose });
      // Until the daemon is ready the signal would be its end.
      const early = (): void => undefined;
      process.on("SIGHUP", early);
      if (mistakes.length > 0) {
        const hint = "tockd check tells them; mend the file, then: tockd reload";
        log.error({ file, hint }, "the configuration cannot be used: this is the last good one");
      }
      const keep = (settings: Settings): void => {
        const kept = keepLastGood(file, settings);
        if (!kept.ok) log.warn({ reason: kept.error.message }, "the configuration is not kept for a bad day");
      };
      const reread = (): ReturnType<typeof loadAsDaemon> => loadAsDaemon(file);
      const daemon = unwrap(await Daemon.start({ ...start.value, reread, keep }, log));
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
