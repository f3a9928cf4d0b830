import type { Command } from "commander";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result, unwrap } from "../../shared/result.ts";
import { callDaemon } from "../admin/client.ts";
import type { Settings } from "../config/settings.ts";
import type { Firewall, GuardState } from "../core/firewall.ts";
import { openFirewall } from "../firewalls.ts";
import { GuardKeeper } from "../guard-keeper.ts";
import { GuardWish } from "../guard-wish.ts";
import { guardPlanOf } from "../plans.ts";
import { json } from "../ui.ts";
import { type Context, settingsOf } from "./context.ts";

/** `tockd guard on|off|status`: through the running daemon, or without one by itself. */
export function addGuard(program: Command, context: Context): void {
  const guard = program.command("guard").description("the rules that keep the protected ports shut");
  const { ui } = context;
  guard
    .command("on")
    .description("shut the protected ports to everybody without a grant; stays on when the daemon stops")
    .action(async (_flags: unknown, command: Command) => {
      const settings = settingsOf(command);
      unwrap(await byDaemon(settings, "guard-on", (keeper) => keeper.on()));
      ui.out("guard: on\n");
    });
  guard
    .command("off")
    .description("take the guard and every grant out of the firewall")
    .action(async (_flags: unknown, command: Command) => {
      const settings = settingsOf(command);
      unwrap(await byDaemon(settings, "guard-off", (keeper) => keeper.off()));
      ui.out("guard: off; protected ports are open to everybody\n");
    });
  guard
    .command("status")
    .description("on, off or damaged, as the kernel has it; exit code 1 unless it is on")
    .option("--json", "print JSON")
    .action((flags: { json?: boolean }, command: Command) => {
      const state = unwrap(stateOf(settingsOf(command)));
      ui.out(flags.json === true ? json({ guard: state }) : `guard: ${state}\n`);
      if (state !== "on") context.exitWith(1);
    });
}

async function byDaemon(
  settings: Settings,
  method: "guard-on" | "guard-off",
  alone: (keeper: GuardKeeper) => Result<void>,
): Promise<Result<void>> {
  const told = await callDaemon(settings.server.socket, method, undefined);
  if (told.ok) return ok(undefined);
  if (told.error.code !== "not-found") return told;
  return withFirewall(settings, (firewall) => {
    const wish = new GuardWish(settings.server.state);
    return alone(new GuardKeeper(firewall, guardPlanOf(settings), wish, () => undefined));
  });
}

function stateOf(settings: Settings): Result<GuardState> {
  return withFirewall(settings, (firewall) => firewall.guardState(guardPlanOf(settings)));
}

function withFirewall<T>(settings: Settings, body: (firewall: Firewall) => Result<T>): Result<T> {
  if (process.geteuid?.() !== 0)
    return err(new TockError("permission", "guard: not permitted", "run as root"));
  const opened = openFirewall(settings, { log: () => undefined, now: () => performance.now() });
  if (!opened.ok) return opened;
  const { firewall } = opened.value;
  try {
    return body(firewall);
  } finally {
    firewall.dispose();
  }
}
