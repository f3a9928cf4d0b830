import type { Command } from "commander";
import { unwrap } from "../../shared/result.ts";
import { lookAtDaemon } from "../admin/client.ts";
import type { Status } from "../admin/methods.ts";
import { roughly } from "../config/duration.ts";
import { json } from "../ui.ts";
import { configFile, type Context } from "./context.ts";
import { SOCKET_FLAG, socketOf, unusable } from "./look.ts";

/** `tockd status`: how the running daemon fares. */
export function addStatus(program: Command, context: Context): void {
  const { ui } = context;
  program
    .command("status")
    .description("how the running daemon fares: guard, grants, packets, clock, journal, audit trail")
    .option(...SOCKET_FLAG)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 all is well, 1 no daemon answers or something needs attention\n\nExample:\n  tockd status --json | jq .troubles\n",
    )
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const status = unwrap(await lookAtDaemon(socketOf(command, true), "status", undefined));
      const mistake = status.fromLastGood ? undefined : unusable(configFile(command));
      const troubles = [...(mistake === undefined ? [] : [mistake]), ...troublesOf(status, context.now())];
      ui.out(flags.json === true ? json({ ...status, troubles }) : statusText(status));
      if (flags.json !== true) for (const trouble of troubles) ui.note(`tock: warning: ${trouble}\n`);
      if (troubles.length > 0) context.exitWith(1);
    });
}

/** Name and value, a line each. Used by `tockd top` as well. */
export function statusText(status: Status): string {
  const { clock, trail, guardTrial } = status;
  const dropped = Object.entries(status.packets).filter(([, count]) => count > 0);
  const sync = clock === null ? "not known" : clock.synchronised ? "synchronised" : "not synchronised";
  const rows: [string, string][] = [
    ["daemon", `tockd ${status.version}, process ${status.pid}, up ${roughly(status.upSeconds * 1000)}`],
    [
      "guard",
      `${status.guard}${guardTrial === null ? "" : `, on trial: ${guardTrial} s left`} (${status.backend})`,
    ],
    ...openTo(status.allow),
    [
      "grants",
      `${status.grants} open; ${status.opened} opened and ${status.refused} refused since the start`,
    ],
    ["devices", `${status.devices}`],
    ["capture", `filter ${status.filter}, ${status.seen} seen, ${status.lost} lost`],
    [
      "dropped",
      dropped.length === 0 ? "nothing" : dropped.map(([name, count]) => `${name} ${count}`).join(", "),
    ],
    ["clock", clock === null ? sync : `${sync}, may be off by ${clock.maxError.toFixed(3)} s`],
    ["journal", status.refusingUntil === 0 ? "in order" : "not trusted yet, packets are refused"],
    ["audit", `${trail.lines} lines${trail.lost > 0 ? `, ${trail.lost} lost` : ""}`],
    ["reloads", `${status.reloads}`],
  ];
  return rows.map(([name, value]) => `${name.padEnd(9)}${value}\n`).join("");
}

function openTo(networks: readonly string[]): [string, string][] {
  return networks.length === 0 ? [] : [["open to", `${networks.join(", ")}, without a grant`]];
}

/** What somebody should do something about. */
export function troublesOf(status: Status, now: number): string[] {
  const { guard, guardTrial, refusingUntil, trail } = status;
  return [
    ...(status.fromLastGood
      ? [
          "the configuration could not be used at the start, and the last good one is: tockd check, then tockd reload",
        ]
      : []),
    ...(guard === "on" && !status.openable
      ? ["the guard is on and no device can open it: tockd device list, or tockd device add NAME/laptop"]
      : []),
    ...(guard === "on"
      ? []
      : [`the guard is ${guard}: protected ports may be open to everybody; tockd guard on`]),
    ...(guardTrial === null
      ? []
      : [`the guard takes itself off in ${guardTrial} s: tockd guard confirm keeps it`]),
    ...(refusingUntil > now
      ? [
          `the replay journal is not trusted yet: packets are refused for ${Math.ceil((refusingUntil - now) / 1000)} s more`,
        ]
      : []),
    ...(trail.trouble === null
      ? []
      : [`the audit trail cannot be written: ${trail.trouble}; ${trail.waiting} lines wait`]),
  ];
}
