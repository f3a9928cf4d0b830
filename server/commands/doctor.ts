import type { Command } from "commander";
import { lookAtDaemon as askDaemon } from "../admin/client.ts";
import { loadSettings } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { unreadableByDaemon } from "../daemon-eyes.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Behind } from "../doctor/advice.ts";
import { lookAtAddresses } from "../doctor/addresses.ts";
import { type Finding, fail, fine } from "../doctor/finding.ts";
import { lookAtFirewalls } from "../doctor/firewalls.ts";
import { lookAtForwarding } from "../doctor/forwarding.ts";
import { lookAtGuard, tellOther } from "../doctor/guard.ts";
import {
  lookAtClock,
  lookAtConntrack,
  lookAtDaemon,
  lookAtListeners,
  lookAtReversePath,
  lookAtState,
} from "../doctor/machine.ts";
import { lastGood } from "../last-good.ts";
import { plain } from "../log.ts";
import { json } from "../ui.ts";
import { type Context, configFile } from "./context.ts";
import { type GuardLook, lookAlone, otherGuard } from "./guard-alone.ts";

const SIGNS = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;
const COLOURS = { ok: 32, warn: 33, fail: 31 } as const;

/** `tockd doctor`: everything that goes wrong in practice, and what to do about it. Changes nothing. */
export function addDoctor(program: Command, context: Context): void {
  const { ui } = context;
  program
    .command("doctor")
    .description("look for everything that goes wrong in practice, and say what to do; changes nothing")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 nothing fails (there may be warnings), 1 something fails\n\nExample:\n  tockd doctor --json | jq .\n",
    )
    .action(async (flags: { readonly json?: boolean }, command: Command) => {
      const findings = await examine(configFile(command), context);
      if (flags.json === true) ui.out(json(findings));
      else for (const finding of findings) ui.out(lineOf(finding, ui.colour));
      if (findings.some(({ state }) => state === "fail")) context.exitWith(1);
    });
}

async function examine(file: string, context: Context): Promise<Finding[]> {
  const loaded = loadSettings(file);
  const mistakes = loaded.ok
    ? [lookAtReader(file, loaded.value)]
    : loaded.error.map(({ message, hint }) => fail("config", message, hint ?? "tockd check tells more"));
  const settings = loaded.ok ? loaded.value : lastGood(file);
  if (settings === undefined) return mistakes;
  const status = await askDaemon(settings.server.socket, "status", undefined);
  const daemon = status.ok
    ? lookAtDaemon(status.value, context.now())
    : [fail("daemon", status.error.message, status.error.hint ?? "look at its log")];
  const isRoot = process.geteuid?.() === 0;
  const guard = status.ok
    ? ok({ state: status.value.guard, trial: status.value.guardTrial ?? undefined })
    : lookAlone(settings);
  const other = isRoot ? otherGuard(settings) : undefined;
  return [
    ...mistakes,
    ...daemon,
    ...(guard.ok ? lookAtGuard(guard.value, context.now()) : []),
    ...(other === undefined ? [] : [tellOther(other)]),
    ...lookAtClock(),
    ...lookAtState(settings),
    ...(await lookAtAddresses(settings)),
    ...lookAtListeners(settings),
    ...lookAtConntrack(),
    ...lookAtReversePath(),
    ...lookAtForwarding(settings),
    ...(isRoot ? lookAtFirewalls(settings, behind(guard)) : []),
  ];
}

function lookAtReader(file: string, settings: Settings): Finding {
  const barred = unreadableByDaemon(file, settings);
  if (barred === undefined) return fine("config", `${file} is in order`);
  return fail("config", barred.message, barred.hint ?? "tockd check tells more");
}

/** What advice for the machine's own firewall may count on. */
function behind(guard: Result<Pick<GuardLook, "state" | "trial">>): Behind {
  if (!guard.ok || guard.value.state !== "on") return "off";
  return guard.value.trial === undefined ? "on" : "trial";
}

function lineOf({ name, state, message, hint, run = [] }: Finding, colour: boolean): string {
  const sign = colour ? `\u001b[${COLOURS[state]}m${SIGNS[state]}\u001b[0m` : SIGNS[state];
  const advice = [...run.map((command) => `# ${command}`), ...(hint === undefined ? [] : [hint])];
  const lines = advice.map((line) => `${" ".repeat(18)}${plain(line)}\n`);
  // A rule may hold any byte.
  return `${sign}  ${name.padEnd(12)}${plain(message)}\n${lines.join("")}`;
}
