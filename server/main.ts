import { Command } from "commander";
import { VERSION } from "../shared/version.ts";
import { addCheck } from "./commands/check.ts";
import { addConfig } from "./commands/config.ts";
import type { Context } from "./commands/context.ts";
import { addDeviceAdd } from "./commands/device-add.ts";
import { addDeviceChange } from "./commands/device-change.ts";
import { addDeviceList } from "./commands/device-list.ts";
import { addDeviceRotate } from "./commands/device-rotate.ts";
import { addGuard } from "./commands/guard.ts";
import { addImport } from "./commands/import.ts";
import { addInit } from "./commands/init.ts";
import { addRules } from "./commands/rules.ts";
import { addRun } from "./commands/run.ts";
import { addUserOtp } from "./commands/user-otp.ts";
import { addWeb } from "./commands/web.ts";
import { addEvents } from "./commands/events.ts";
import { addGrants } from "./commands/grants.ts";
import { addReload } from "./commands/reload.ts";
import { addStatus } from "./commands/status.ts";
import { addTop } from "./commands/top.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addExplain } from "./commands/explain.ts";
import { DEFAULT_CONFIG } from "./config/load.ts";
import { type ExitCode, report } from "./ui.ts";

/** Clock, randomness, host name and where words go. */
export type World = Omit<Context, "exitWith">;

const HELP = `
Exit codes:
  0  done
  1  could not be done: the message says why
  2  the command line or the configuration is wrong

Start here:
  tockd init             asks what it needs, and enrols the first device
  tockd run              with systemd's units: systemctl enable --now tockd tock-guard
  tockd guard on
`;

/** Runs one command line (without the program's name) and gives its exit code. Throws on bugs alone. */
export async function main(args: readonly string[], world: World): Promise<ExitCode> {
  let code: ExitCode = 0;
  const context: Context = { ...world, exitWith: (asked) => (code = asked) };
  try {
    await makeProgram(context).parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    return report(error, world.ui);
  }
}

/** The whole command line, ready to be parsed. */
export function makeProgram(context: Context): Command {
  const program = new Command("tockd")
    .description("the daemon that keeps ports shut until the right device asks")
    .version(VERSION)
    .option("--config <file>", "the configuration", DEFAULT_CONFIG)
    .addHelpText("after", HELP)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => context.ui.out(text),
      writeErr: (text) => context.ui.note(text),
      // What is wrong is printed once, by report().
      outputError: () => undefined,
    })
    .exitOverride();
  addInit(program, context);
  addCheck(program, context);
  addConfig(program, context);
  const device = program.command("device").description("enrol, list and change devices");
  addDeviceAdd(device, context);
  addDeviceList(device, context);
  addDeviceChange(device, context);
  addDeviceRotate(device, context);
  const user = program.command("user").description("people: their second factor");
  addUserOtp(user, context);
  addGuard(program, context);
  addImport(program, context);
  addRules(program, context);
  addWeb(program, context);
  addRun(program);
  addReload(program, context);
  addStatus(program, context);
  addGrants(program, context);
  addEvents(program, context);
  addTop(program, context);
  addDoctor(program, context);
  addExplain(program, context);
  return program;
}
