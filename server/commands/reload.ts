import type { Command } from "commander";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { callDaemon } from "../admin/client.ts";
import { Failures, json } from "../ui.ts";
import type { Context } from "./context.ts";
import { look, SOCKET_FLAG, socketOf } from "./look.ts";

/** `tockd reload` and `tockd metrics`. */
export function addReload(program: Command, { ui }: Context): void {
  program
    .command("reload")
    .description("have the running daemon read its configuration anew; open grants stay open")
    .option(...SOCKET_FLAG)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Everything takes effect, or, where there is a mistake, nothing. Users and services that are gone, or disabled, lose their
grants. The state folder, the socket, the engine, the backend and [metrics] listen take a restart. SIGHUP does the same.
A daemon that was started while the file had a mistake, and so goes by the last good configuration, takes the mended one so.

Exit codes: 0 done, 1 could not be done, 2 the configuration has mistakes; the daemon goes on with the old one

Example:
  tockd check && tockd reload
`,
    )
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const { changed, mistakes, advice } = unwrap(
        await callDaemon(socketOf(command, true), "reload", undefined),
      );
      if (flags.json === true) ui.out(json({ changed, mistakes, advice }));
      if (mistakes.length > 0) {
        ui.note("tock: warning: nothing was changed: the daemon goes on with what it took before\n");
        throw new Failures(mistakes.map(({ code, message, hint }) => new TockError(code, message, hint)));
      }
      if (flags.json === true) return;
      ui.out(changed.length === 0 ? "reloaded; nothing has changed\n" : `reloaded: ${changed.join(", ")}\n`);
      for (const each of advice) ui.note(`tock: warning: ${each}\n`);
    });
  program
    .command("metrics")
    .description("the running daemon's figures, as Prometheus reads them")
    .option(...SOCKET_FLAG)
    .addHelpText("after", "\nExample:\n  tockd metrics | grep tock_grants_open\n")
    .action(async (_flags: object, command: Command) => {
      ui.out(await look(command, "metrics", undefined));
    });
}
