import type { Command } from "commander";
import { type TimeStep, timeStep, type UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { skewWindow, stepAt } from "../../shared/time-step.ts";
import type { Settings } from "../config/settings.ts";
import type { Device } from "../core/device.ts";
import type { StepWalks } from "../core/knock-rules.ts";
import { shapeOf } from "../firewall/guard.ts";
import { type LeftOut, walksOf, windowOf } from "../kernel/walks.ts";
import { guardPlanOf, mayKnock, policyOf, protocolsOf } from "../plans.ts";
import { FORMATS, type Format, moment, printRules } from "../rules/print.ts";
import { ICMP } from "../rules/standalone.ts";
import { type Context, settingsOf, withStore } from "./context.ts";
import { applyRules } from "./rules-apply.ts";

interface Flags {
  readonly format?: string;
  readonly steps: string;
  readonly device?: readonly string[];
  readonly standalone?: boolean;
  readonly icmp: string;
  readonly apply?: boolean;
}

const HELP = `
Steps: now, next, previous, window (all that are accepted now), or a step's number; several with commas between.

Whoever reads what this prints can open with it until it runs out: keep it as you would a password.

Examples:
  tockd rules | iptables-restore --noflush
  tockd rules --format ip6tables-restore | ip6tables-restore --noflush
  tockd rules --format nft | nft -f -
  tockd rules --standalone > /etc/iptables/iptables.rules
  tockd rules --apply            what a timer runs every 30 seconds
`;

/** `tockd rules`: knock sequences as plain rules of the packet filter. */
export function addRules(program: Command, context: Context): void {
  program
    .command("rules")
    .description("print knock sequences as rules for iptables or nft, which open without any daemon")
    .option("--format <format>", `${FORMATS.join(", ")}; by default what [firewall] backend says`)
    .option("--steps <list>", "the time steps", "window")
    .option("--device <user/device...>", "these devices alone")
    .option("--standalone", "a whole ruleset that drops everything else")
    .option("--icmp <what>", `with --standalone: ${ICMP.join(", ")}`, "ping")
    .option("--apply", "put the rules in, take old ones out, and write down what was used")
    .addHelpText("after", HELP)
    .action(async (flags: Flags, command: Command) => {
      const settings = settingsOf(command);
      if (flags.apply === true) return applyRules(settings, context);
      const beyond = settings.services.find(({ forward, to }) => forward !== undefined || to !== undefined);
      if (beyond !== undefined) {
        const hint = "these rules guard this machine's own ports alone: leave forward and to out";
        throw new TockError("refused", `rules: ${beyond.name} is about ports of other hosts`, hint);
      }
      const format = oneOf("--format", flags.format ?? usualFormat(settings), FORMATS);
      const icmp = oneOf("--icmp", flags.icmp, ICMP);
      const now = context.now();
      const steps = stepsIn(flags.steps, settings, now);
      await withStore(settings, (store) => {
        const { devices } = unwrap(store.loadAll());
        const chosen = choose(devices, flags.device, settings);
        const made = steps.map((step) => walksFor(step, chosen, settings, store.identity.id, now));
        const leftOut = new Map(made.flatMap((each) => each.leftOut.map((one) => [one.device, one])));
        for (const { device, rule } of leftOut.values())
          context.ui.note(`tock: note: ${device} is left out: ${rule}\n`);
        context.ui.out(
          printRules({
            format,
            shape: shapeOf(guardPlanOf({ ...settings, server: { ...settings.server, engine: "kernel" } })),
            protocols: protocolsOf(settings),
            steps: made,
            head: headOf(format, made, [...leftOut.values()], settings, flags.standalone === true),
            standalone: flags.standalone === true ? icmp : undefined,
          }),
        );
      });
    });
}

function usualFormat({ firewall: { backend } }: Settings): Format {
  return backend === "nftables" ? "nft" : "iptables-restore";
}

function walksFor(
  step: TimeStep,
  devices: readonly Device[],
  settings: Settings,
  serverId: Uint8Array,
  now: UnixMillis,
): StepWalks & { readonly leftOut: readonly LeftOut[] } {
  const maker = {
    serverId,
    shape: settings.knock,
    policy: policyOf(settings),
    devices,
    boundsOf: windowOf(settings.skew),
  };
  return walksOf(step, maker, now);
}

function headOf(
  format: Format,
  steps: readonly StepWalks[],
  leftOut: readonly LeftOut[],
  { server }: Settings,
  standalone: boolean,
): string[] {
  const program = format === "nft" ? "nft -f" : standalone ? format : `${format} --noflush`;
  const from = Math.min(...steps.map((step) => step.from));
  const until = Math.max(...steps.map((step) => step.until));
  const devices = new Set(steps.flatMap(({ walks }) => walks.map(({ device }) => device)));
  return [
    `Knock sequences of ${server.name}, as printed by tockd rules. Load with: ${program} ${format === "nft" ? "" : "< "}FILE`,
    `They open from ${moment(from)} to ${moment(until)}, each once. Until then this text is as secret as a password.`,
    "After that it lets nobody in, and goes on protecting: load the next one, or have tockd rules --apply do so.",
    ...(format === "nft"
      ? []
      : [
          "IPv4 and IPv6 do not know of each other: a sequence that was used over one works once over the other.",
        ]),
    `Devices: ${[...devices].join(", ") || "none"}`,
    ...leftOut.map(({ device, rule }) => `Left out: ${device} (${rule})`),
    "",
  ];
}

function stepsIn(list: string, { skew }: Settings, now: UnixMillis): TimeStep[] {
  const current = stepAt(now);
  const steps = list.split(",").flatMap((word): TimeStep[] => {
    if (word === "window") return skewWindow(now, skew);
    const offset = { previous: -1, now: 0, next: 1 }[word];
    if (offset !== undefined) return [timeStep(current + offset)];
    if (/^\d{1,12}$/.test(word)) return [timeStep(Number(word))];
    const message = `--steps: expected now, next, previous, window or a step's number, got ${JSON.stringify(word)}`;
    throw new TockError("usage", message, "for example --steps now,next");
  });
  return [...new Set(steps)].sort((a, b) => a - b);
}

function choose(
  devices: readonly Device[],
  ids: readonly string[] | undefined,
  settings: Settings,
): Device[] {
  for (const id of ids ?? []) {
    const found = devices.find((device) => device.id === id);
    if (found === undefined)
      throw new TockError("not-found", `there is no device ${id}`, "tockd device list shows them");
    if (!mayKnock(settings, found))
      throw new TockError("refused", `${id} may not knock`, "give its user knock = true");
  }
  return devices.filter((device) => ids?.includes(device.id) ?? true);
}

function oneOf<const T extends string>(name: string, value: string, all: readonly T[]): T {
  const found = all.find((each) => each === value);
  if (found !== undefined) return found;
  throw new TockError("usage", `${name}: expected ${all.join(", ")}, got ${JSON.stringify(value)}`);
}
