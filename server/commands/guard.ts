import type { Command } from "commander";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { callDaemon } from "../admin/client.ts";
import { loadSettings } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import type { AuditEvent } from "../core/event.ts";
import { GuardWish } from "../guard-wish.ts";
import { keepLastGood, settingsToStart } from "../last-good.ts";
import { sshSession } from "../sys/ssh-session.ts";
import { startCommand } from "../sys/units.ts";
import { Failures, json } from "../ui.ts";
import { configFile, type Context, settingsInUse, startOf } from "./context.ts";
import { alone, lookAlone, otherGuard } from "./guard-alone.ts";
import { writeAlone } from "./guard-trail.ts";
import { guardOff } from "./guard-off.ts";
import { type OnFlags, startTrial, trialSeconds, warnOfNoWayBack } from "./guard-trial.ts";
import { socketOf } from "./look.ts";
import { settingsDespiteMistakes } from "../config/despite-mistakes.ts";

/** `tockd guard on|off|status`: through the running daemon, or without one by itself. */
export function addGuard(program: Command, context: Context): void {
  const guard = program.command("guard").description("the rules that keep the protected ports shut");
  const { ui } = context;
  guard
    .command("on")
    .description("shut the protected ports to everybody without a grant; stays on when the daemon stops")
    .option(
      "--confirm <time>",
      "take it off again after this time unless tockd guard confirm comes, for example 60s",
    )
    .option("--no-confirm", "keep it on, also where this is an SSH session")
    .option("--unchecked", "do not look first whether a device could open it again")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
In an SSH session --confirm 60s is the default. A guard on trial takes itself off by the kernel's own clock, also when the daemon
and this shell are killed, and is not there after a restart of the machine.

Examples:
  tockd guard on --confirm 2m     then, from a device: tock open, log in anew, and there: tockd guard confirm
  tockd guard on --no-confirm     at the console, or where another way in exists
`,
    )
    .action(async (flags: OnFlags, command: Command) => {
      const { settings, mistakes } = startOf(command, ui);
      const seconds = await trialSeconds(flags, settings);
      if (seconds !== undefined) return startTrial(seconds, flags, settings, context);
      const told = await callDaemon(settings.server.socket, "guard-on", undefined);
      const hasDaemon = told.ok || told.error.code !== "not-found";
      const events: AuditEvent[] = [];
      const emit = (event: AuditEvent): number => events.push(event);
      const done = hasDaemon ? told : alone(settings, (keeper) => keeper.on(), emit);
      await writeAlone(settings.server.state, events, ui);
      unwrap(done);
      // A daemon has kept it, and so was what stands in for a file with mistakes.
      if (!hasDaemon && mistakes.length === 0) keepLastGood(configFile(command), settings);
      ui.out(flags.json === true ? json({ guard: "on", trial: null }) : "guard: on\n");
      if (hasDaemon) return flags.unchecked === true ? undefined : warnOfNoWayBack(settings, context);
      ui.note("tock: warning: no daemon is running, so no device can open\n");
      ui.note(`tock: hint: start it: ${startCommand()}; tockd guard off opens the ports again\n`);
    });
  guard
    .command("confirm")
    .description("keep a guard that is on trial; from a session that came in through Tock since then")
    .option("--force", "without that: at the console, or where you know another way in")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tockd guard confirm           in a new SSH session, after tock open\n  tockd guard confirm --force   at the console\n",
    )
    .action(async (flags: { readonly force?: boolean; readonly json?: boolean }, command: Command) => {
      const socket = socketOf(command);
      const session = flags.force === true ? null : sshSession();
      if (session === undefined) {
        const status = await callDaemon(socket, "status", undefined);
        if (status.ok && status.value.guardTrial === null) {
          const hint = "tockd guard status says how it stands";
          throw new TockError("refused", "guard: there is no trial to confirm", hint);
        }
        const hint =
          "log in by ssh through Tock and run it there; at the console: tockd guard confirm --force";
        throw new TockError("refused", "guard: not confirmed: this is no SSH session", hint);
      }
      unwrap(await callDaemon(socket, "guard-confirm", { session }));
      ui.out(flags.json === true ? json({ guard: "on", trial: null }) : "guard: on; it stays on\n");
    });
  guard
    .command("off")
    .description("take the guard and every grant out of the firewall")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nIt needs no daemon, and works where the configuration has mistakes. A daemon that does not answer within 5 seconds is left out;\nwhere the rules are out of reach while it lives (nftables, from Linux 6.9 on) it is killed.\n\nExample:\n  tockd guard off\n",
    )
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const file = configFile(command);
      const loaded = loadSettings(file);
      // Either backend takes out what the other has left; not every machine has both.
      const despite = (backend: "iptables" | "nftables"): Settings => ({
        ...settingsDespiteMistakes(file),
        firewall: { backend, allow: [] },
      });
      const settings = loaded.ok
        ? ([loaded.value] as const)
        : ([despite("nftables"), despite("iptables")] as const);
      if (!loaded.ok) ui.note(`tock: warning: ${file} cannot be used: tockd check\n`);
      unwrap(await guardOff(settings, ui));
      const off = { guard: "off", trial: null };
      ui.out(flags.json === true ? json(off) : "guard: off; protected ports are open to everybody\n");
    });
  guard
    .command("restore")
    .description("at boot, before the network: put the guard on if it was on; without that, do nothing")
    .addHelpText("after", "\nExample:\n  tockd guard restore   what tock-guard.service does\n")
    .action((_flags: unknown, command: Command) => {
      const file = configFile(command);
      const start = settingsToStart(file);
      const { settings, mistakes } = start.ok
        ? start.value
        : { settings: settingsDespiteMistakes(file), mistakes: start.error };
      const isOn = new GuardWish(settings.server.state).isOn;
      if (!start.ok && isOn) {
        const message = `guard: ${file} cannot be used, and there is no last good configuration to go by`;
        throw new Failures([
          new TockError("firewall", message, "mend it, then: tockd guard restore"),
          ...mistakes,
        ]);
      }
      // What was shut stays shut; the mistakes are told all the same.
      if (isOn) unwrap(alone(settings, (keeper) => keeper.restore()));
      if (mistakes.length > 0) throw new Failures(mistakes);
      ui.out(isOn ? "guard: on\n" : "guard: not wanted, left off\n");
    });
  guard
    .command("status")
    .description("on, off or damaged, as the kernel has it; exit code 1 unless it is on, and alone")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      '\nExamples:\n  tockd guard status\n  tockd guard status >/dev/null || echo "the ports may be open"\n',
    )
    .action((flags: { json?: boolean }, command: Command) => {
      const settings = settingsInUse(command, ui);
      const { state, trial, allow } = unwrap(lookAlone(settings));
      const other = otherGuard(settings);
      const left =
        trial === undefined
          ? ""
          : `, on trial: it takes itself off in ${trial} s; tockd guard confirm keeps it`;
      const always = allow.length === 0 ? "" : `open without a grant to: ${allow.join(", ")}\n`;
      ui.out(
        flags.json === true
          ? json({ guard: state, trial: trial ?? null, allow, other: other ?? null })
          : `guard: ${state}${left}\n${always}`,
      );
      if (other !== undefined && flags.json !== true) {
        ui.note(
          `tock: warning: a guard of ${other} stands, and the configuration names ${settings.firewall.backend}\n`,
        );
        ui.note(
          "tock: hint: restart the daemon, and where it is still there: tockd guard on takes its place, tockd guard off takes it out\n",
        );
      }
      if (state !== "on" || other !== undefined) context.exitWith(1);
    });
}
