import type { Command } from "commander";
import { quote, seconds } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { callDaemon } from "../admin/client.ts";
import type { GrantView } from "../admin/methods.ts";
import { formatDuration, parseDuration } from "../config/duration.ts";
import { json, table } from "../ui.ts";
import type { Context } from "./context.ts";
import { look, SOCKET_FLAG, socketOf } from "./look.ts";

/** The longest lifetime that the configuration allows as well. */
const MOST = seconds(65_535);

/** `tockd grants`, `grant` and `revoke`: what is open, and changing it by hand. */
export function addGrants(program: Command, context: Context): void {
  const { ui } = context;
  program
    .command("grants")
    .description("what is open: who, what, from where, for how long yet")
    .option(...SOCKET_FLAG)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  tockd grants\n  tockd grants --json | jq -r '.[].address'\n")
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const grants = await look(command, "grants", undefined);
      if (flags.json === true) return ui.out(json(grants));
      if (grants.length === 0) return ui.note("nothing is open\n");
      return ui.out(grantTable(grants));
    });
  program
    .command("grant")
    .description("open a service for an address by hand, on behalf of a user; the policy is not asked")
    .argument("<user>")
    .argument("<service>")
    .argument("<address>")
    .option("--for <time>", "how long, up to 18h (default: the service's ttl)")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  tockd grant alice ssh 203.0.113.9 --for 10m\n")
    .action(
      async (
        user: string,
        service: string,
        address: string,
        flags: { readonly for?: string; readonly json?: boolean },
        command: Command,
      ) => {
        const socket = socketOf(command);
        const span = flags.for === undefined ? undefined : lifetimeFlag(flags.for);
        const params = { user, service, address, seconds: span ?? null };
        const { lifetime } = unwrap(await callDaemon(socket, "grant", params));
        if (flags.json === true) return ui.out(json({ user, service, address, lifetime }));
        return ui.out(`open: ${service} to ${address} for ${formatDuration(seconds(lifetime))}\n`);
      },
    );
  program
    .command("revoke")
    .description("end grants: of an id, a user, a device or an address; new connections are dropped at once")
    .argument("<grant|user|device|address>")
    .option("--kill", "cut established connections too")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tockd revoke alice/phone\n  tockd revoke 203.0.113.9 --kill    cuts its connections, also where no grant is open any more\n",
    )
    .action(
      async (
        target: string,
        flags: { readonly kill?: boolean; readonly json?: boolean },
        command: Command,
      ) => {
        const socket = socketOf(command);
        const params = { target, kill: flags.kill === true };
        const { ended, cut } = unwrap(await callDaemon(socket, "revoke", params));
        if (flags.json === true) return ui.out(json({ ended, cut }));
        for (const { service, address, device } of ended) {
          ui.out(`ended: ${service} to ${address}${device === null ? "" : ` (${device})`}\n`);
        }
        if (flags.kill === true) ui.out(`cut: ${cut} connection${cut === 1 ? "" : "s"}\n`);
      },
    );
}

export function grantTable(grants: readonly GrantView[]): string {
  const rows = grants.map(({ id, device, service, address, sourcePort, secondsLeft }) => [
    id,
    device ?? "-",
    service,
    sourcePort === null ? address : `${address} port ${sourcePort}`,
    `${secondsLeft} s`,
  ]);
  return table([["GRANT", "DEVICE", "SERVICE", "ADDRESS", "LEFT"], ...rows]);
}

function lifetimeFlag(text: string): number {
  const span = parseDuration(text);
  if (span !== undefined && span <= MOST) return span;
  throw new TockError(
    "usage",
    `--for: expected a time from 1s to 18h, got ${quote(text)}`,
    "for example 10m",
  );
}
