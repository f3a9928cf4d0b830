import { existsSync } from "node:fs";
import type { Command } from "commander";
import { type DeviceId, quote, userOf } from "../../shared/brand.ts";
import { encodeEnrolment } from "../../shared/enrolment.ts";
import { DEFAULT_CONFIG } from "../config/load.ts";
import { TockError } from "../../shared/errors.ts";
import type { Settings } from "../config/settings.ts";
import { configTemplate, type TemplateInput } from "../config/template.ts";
import { namedTwice, parseService, settingsFrom } from "../init/answers.ts";
import { fittingBackend, likelyUser, ownAddresses, serverNameFrom } from "../init/found.ts";
import { guide } from "../init/guide.ts";
import { makeAll } from "../init/make.ts";
import { sshPorts } from "../init/ssh-ports.ts";
import { hasUnits } from "../sys/units.ts";
import { json } from "../ui.ts";
import { type Context, configFile, settingsOf } from "./context.ts";
import { enrol } from "./enrol.ts";
import { printEnrolment } from "./enrolment-output.ts";
import { offerGuard, offerStart } from "./init-offers.ts";
import { deviceArgument } from "./values.ts";

interface InitFlags {
  readonly name?: string;
  readonly address?: readonly string[];
  readonly port?: string;
  readonly service?: readonly string[];
  readonly user?: readonly string[];
  readonly device?: string;
  readonly knock?: boolean;
  readonly state?: string;
  readonly socket?: string;
  readonly backend?: string;
  readonly allow?: readonly string[];
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** What is to be made, and how it came about, in words for a person. */
interface Plan {
  readonly answers: TemplateInput;
  readonly device: DeviceId | undefined;
  readonly notes: readonly string[];
}

/** `tockd init`: configuration, state folder, server identity, device store, replay journal. Overwrites nothing. */
export function addInit(program: Command, context: Context): void {
  const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];
  program
    .command("init")
    .description("make the configuration, the state folder and the server's key; asks at a terminal")
    .option("--name <name>", "what people call this server (default: the host's name)")
    .option(
      "--address <address>",
      "where clients send packets; repeat for more (default: this host's addresses)",
      collect,
    )
    .option("--port <port>", "UDP port of SPA packets (default: 62201)")
    .option(
      "--service <name=ports>",
      "what to protect, for example web=tcp/80,tcp/443; repeat (default: ssh, on the ports of sshd -T)",
      collect,
    )
    .option("--user <name>", "a person who may open every service; repeat for more", collect)
    .option("--device <user/device>", "enrol this device, and print its link and QR code")
    .option("--knock", "let these users knock as well")
    .option("--state <folder>", "where secrets and the replay journal are kept (default: /var/lib/tock)")
    .option("--socket <path>", "Unix socket of the running daemon (default: /run/tock/tockd.sock)")
    .option("--backend <name>", "iptables, nftables or dry-run (default: what fits this machine)")
    .option(
      "--allow <network>",
      "a network that never needs to ask, for example 198.51.100.0/24; repeat for more",
      collect,
    )
    .option("--yes", "ask nothing and take every default")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
At a terminal and without flags it asks. With any flag, or without a terminal, it asks nothing. It never puts the guard on by
itself: that takes a device that has reached the server, and a person who says so.

Examples:
  tockd init
  tockd init --name myserver --address 203.0.113.7 --service ssh=tcp/22 --device alice/laptop
`,
    )
    .action(async (flags: InitFlags, command: Command) => {
      const file = configFile(command);
      const hasFlags = Object.keys(flags).some((flag) => flag !== "json");
      if (existsSync(file)) {
        if (hasFlags) {
          const hint = "edit it; or name another with --config; tockd init alone makes the state for it";
          throw new TockError("exists", `${file} exists already`, hint);
        }
        const settings = settingsOf(command);
        makeAll(file, undefined, settings, (bytes) => context.random(bytes));
        return tell(file, settings, undefined, flags, context);
      }
      const { person } = context;
      if (person === undefined || hasFlags || flags.json === true) {
        await make(file, planFrom(flags, context.hostname), flags, context);
        return;
      }
      const found = {
        name: serverNameFrom(context.hostname),
        addresses: ownAddresses(),
        ssh: sshPorts(),
        firewall: fittingBackend(),
        user: likelyUser(),
      };
      const guided = await guide(person, context.ui, found, file);
      if (guided === undefined) throw new TockError("refused", "init: stopped; nothing was made");
      const settings = await make(file, { ...guided, notes: [] }, flags, context);
      await offerStart(person, context);
      if (guided.device !== undefined) await offerGuard(person, settings, context);
    });
}

async function make(file: string, plan: Plan, flags: InitFlags, context: Context): Promise<Settings> {
  const text = configTemplate(plan.answers);
  const settings = settingsFrom(text, file);
  makeAll(file, text, settings, (bytes) => context.random(bytes));
  await tell(file, settings, plan, flags, context);
  return settings;
}

/** The flags, with the rest as this machine suggests it. */
function planFrom(flags: InitFlags, hostname: string): Plan {
  const notes: string[] = [];
  const device = flags.device === undefined ? undefined : deviceArgument(flags.device);
  const services = flags.service?.map(serviceFlag) ?? [sshService(notes)];
  const users = flags.user ?? [];
  const answers: TemplateInput = {
    name: flags.name ?? serverNameFrom(hostname),
    addresses: flags.address ?? neededAddresses(),
    port: flags.port,
    services,
    users: device === undefined || users.includes(userOf(device)) ? users : [...users, userOf(device)],
    knock: flags.knock === true,
    state: flags.state,
    socket: flags.socket,
    backend: flags.backend ?? backend(notes),
    allow: flags.allow ?? [],
  };
  const twice = namedTwice(answers);
  if (twice !== undefined) throw new TockError("usage", `${twice.flag}: ${quote(twice.name)} is given twice`);
  return { answers, device, notes };
}

function sshService(notes: string[]): TemplateInput["services"][number] {
  const { ports, reason } = sshPorts();
  notes.push(`ssh: ${reason}`);
  return { name: "ssh", ports: ports.map((port) => `tcp/${port}`) };
}

function backend(notes: string[]): string {
  const { backend, reason } = fittingBackend();
  notes.push(`${backend}: ${reason}`);
  return backend;
}

function serviceFlag(text: string): TemplateInput["services"][number] {
  const service = parseService(text);
  if (service !== undefined) return service;
  const hint = "for example ssh=tcp/22 or web=tcp/80,tcp/443";
  throw new TockError("usage", `--service: expected name=ports, got ${quote(text)}`, hint);
}

function neededAddresses(): string[] {
  const found = ownAddresses();
  if (found.length > 0) return found;
  const message = "this host has no address that clients could use";
  throw new TockError("usage", message, "name one: --address 203.0.113.7");
}

/** What was made, the device's link where one was asked for, and what comes next. */
async function tell(
  file: string,
  settings: Settings,
  plan: Plan | undefined,
  flags: InitFlags,
  context: Context,
): Promise<void> {
  const { server, users, services, firewall } = settings;
  const enrolment = plan?.device && (await enrol(plan.device, settings, file, context));
  if (flags.json === true) {
    const { backend } = firewall;
    const notes = plan?.notes ?? [];
    const link = enrolment === undefined ? null : encodeEnrolment(enrolment);
    const names = { services: services.map(({ name }) => name), users: users.map(({ name }) => name) };
    context.ui.out(
      json({ config: file, state: server.state, name: server.name, ...names, backend, notes, link }),
    );
    return;
  }
  context.ui.out(
    `made ${file} and ${server.state}\n${plan?.notes.map((note) => `${note}\n`).join("") ?? ""}`,
  );
  if (enrolment !== undefined) printEnrolment(enrolment, undefined, {}, context.ui);
  context.ui.out(nextSteps(file, settings, enrolment !== undefined));
}

function nextSteps(file: string, { users, server }: Settings, isEnrolled: boolean): string {
  const user = users[0]?.name;
  const look = user === undefined ? `add yourself to ${file}: [users.NAME]` : `look at ${file}`;
  const tockd = file === DEFAULT_CONFIG ? "tockd" : `tockd --config ${file}`;
  const add = `${tockd} device add ${user ?? "NAME"}/laptop`;
  const device = `  ${add.padEnd(31)} enrols a device: prints its link and QR code\n`;
  // The units know the usual file alone.
  const start =
    hasUnits() && file === DEFAULT_CONFIG
      ? "  systemctl enable --now tockd tock-guard"
      : `  ${`${tockd} run`.padEnd(31)} starts the daemon`;
  return `
next:
  ${look}, then ${tockd} check
${isEnrolled ? "" : device}${start}
  ${`tock ping ${server.name}`.padEnd(31)} on the device, once it is enrolled: the server answers
  ${`${tockd} guard on`.padEnd(31)} shuts the protected ports
`;
}
