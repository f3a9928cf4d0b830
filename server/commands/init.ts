import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { networkInterfaces } from "node:os";
import { dirname } from "node:path";
import type { Command } from "commander";
import { quote } from "../../shared/brand.ts";
import { SERVER_ID_BYTES } from "../../shared/constants.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import { parseSettings } from "../config/parse.ts";
import type { ConfigMistake } from "../config/mistake.ts";
import type { Settings } from "../config/settings.ts";
import { configTemplate } from "../config/template.ts";
import { DeviceStore } from "../store/device-store.ts";
import { initialiseJournal } from "../store/journal.ts";
import { journalFile, storeFile } from "../store/state-folder.ts";
import { Failures } from "../ui.ts";
import { groupId, userIds } from "../sys/accounts.ts";
import { type Context, configFile, settingsOf } from "./context.ts";

interface InitFlags {
  readonly name?: string;
  readonly address?: readonly string[];
  readonly port?: string;
  readonly service?: readonly string[];
  readonly user?: readonly string[];
  readonly knock?: boolean;
  readonly state?: string;
  readonly socket?: string;
  readonly backend?: string;
}

/** The user and group that the package makes for the daemon. */
const DAEMON = "tock";
const UNIT = "/lib/systemd/system/tockd.service";

/** `tockd init`: configuration, state folder, server identity, device store, replay journal. Overwrites nothing. */
export function addInit(program: Command, context: Context): void {
  const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];
  program
    .command("init")
    .description("make the configuration, the state folder and the server's key")
    .option("--name <name>", "what people call this server (default: the host's name)")
    .option(
      "--address <address>",
      "where clients send packets; repeat for more (default: this host's addresses)",
      collect,
    )
    .option("--port <port>", "UDP port of SPA packets (default: 62201)")
    .option(
      "--service <name=ports>",
      "what to protect, for example web=tcp/80,tcp/443; repeat (default: ssh=tcp/22)",
      collect,
    )
    .option("--user <name>", "a person who may open every service; repeat for more", collect)
    .option("--knock", "let these users knock as well")
    .option("--state <folder>", "where secrets and the replay journal are kept (default: /var/lib/tock)")
    .option("--socket <path>", "Unix socket of the running daemon (default: /run/tock/tockd.sock)")
    .option("--backend <name>", "iptables, nftables or dry-run (default: iptables)")
    .addHelpText(
      "after",
      "\nExample:\n  tockd init --name myserver --address 203.0.113.7 --service ssh=tcp/22 --user alice\n",
    )
    .action((flags: InitFlags, command: Command) => {
      const file = configFile(command);
      const isConfigured = existsSync(file);
      if (isConfigured && Object.keys(flags).some((flag) => flag !== "config")) {
        const hint = "edit it; or name another with --config; tockd init alone makes the state for it";
        throw new TockError("exists", `${file} exists already`, hint);
      }
      const text = isConfigured ? undefined : firstConfig(flags, context.hostname);
      const settings = text === undefined ? settingsOf(command) : settingsFrom(text, file);
      makeAll(file, text, settings, context);
      context.ui.out(nextSteps(file, settings));
    });
}

function firstConfig(flags: InitFlags, hostname: string): string {
  const services = (flags.service ?? ["ssh=tcp/22"]).map(parseServiceFlag);
  for (const [flag, names] of [
    ["--service", services.map(({ name }) => name)],
    ["--user", flags.user ?? []],
  ] as const) {
    const twice = names.find((name, index) => names.indexOf(name) < index);
    if (twice !== undefined) throw new TockError("usage", `${flag}: ${quote(twice)} is given twice`);
  }
  return configTemplate({
    name: flags.name ?? serverNameFrom(hostname),
    addresses: flags.address ?? ownAddresses(),
    port: flags.port,
    services,
    users: flags.user ?? [],
    knock: flags.knock === true,
    state: flags.state,
    socket: flags.socket,
    backend: flags.backend,
  });
}

function settingsFrom(text: string, file: string): Settings {
  const settings = parseSettings(text, file);
  if (settings.ok) return settings.value;
  throw new Failures(settings.error.map(asFlagMistake));
}

/** `web=tcp/80,tcp/443` */
function parseServiceFlag(text: string): { name: string; ports: string[] } {
  const [name = "", ports, ...rest] = text.split("=");
  if (ports !== undefined && rest.length === 0)
    return { name, ports: ports.split(",").map((port) => port.trim()) };
  const hint = "for example ssh=tcp/22 or web=tcp/80,tcp/443";
  throw new TockError("usage", `--service: expected name=ports, got ${quote(text)}`, hint);
}

const FLAGS: Readonly<Record<string, string>> = {
  "server.name": "--name",
  "server.addresses": "--address",
  "server.port": "--port",
  "server.state": "--state",
  "server.socket": "--socket",
  "firewall.backend": "--backend",
  services: "--service",
  users: "--user",
};

/** The person wrote flags and no file: says which flag it is. */
function asFlagMistake({ path, detail, hint, message }: ConfigMistake): TockError {
  const flag = FLAGS[path.slice(0, 2).join(".")] ?? FLAGS[String(path[0])];
  return new TockError("usage", flag === undefined ? message : `${flag}: ${detail}`, hint);
}

/** Makes everything or, where something fails, takes back what was made. `text` undefined: the file is there already. */
function makeAll(file: string, text: string | undefined, { server }: Settings, context: Context): void {
  const { state } = server;
  const undo: (() => void)[] = [];
  try {
    if (makeFolder(state, 0o700)) {
      undo.push(() => rmdirSync(state));
      giveToDaemon(state);
    }
    const identity = { id: context.random(SERVER_ID_BYTES), key: new Secret(context.random(32)) };
    const store = unwrap(DeviceStore.create(state, identity));
    undo.push(() => rmSync(storeFile(state)));
    store.close();
    unwrap(initialiseJournal(journalFile(state), identity.id));
    undo.push(() => rmSync(journalFile(state)));
    giveToOwnerOf(state, journalFile(state));
    if (text === undefined) return;
    makeFolder(dirname(file), 0o755);
    writeFileSync(file, text, { flag: "wx", mode: 0o640 });
    const group = groupId(DAEMON);
    if (process.geteuid?.() === 0 && group !== undefined) lchownSync(file, 0, group);
  } catch (error) {
    for (const step of undo.toReversed()) step();
    const { code, path, message } = error as NodeJS.ErrnoException;
    if (error instanceof TockError || code === undefined) throw error;
    const what = `${path ?? file}: cannot be made: ${code}`;
    throw new TockError(code === "EACCES" ? "permission" : "io", what, message);
  }
}

/** Where the package has made a user for the daemon, the state is that user's. */
function giveToDaemon(folder: string): void {
  const ids = userIds(DAEMON);
  if (process.geteuid?.() === 0 && ids !== undefined) lchownSync(folder, ids.uid, ids.gid);
}

/** What root makes in the folder of the daemon's user is the daemon's. */
function giveToOwnerOf(folder: string, file: string): void {
  const { uid, gid } = statSync(folder);
  if (process.geteuid?.() === 0) lchownSync(file, uid, gid);
}

/** Whether it was made now; one that is there stays as it is. */
function makeFolder(folder: string, mode: number): boolean {
  if (mkdirSync(folder, { recursive: true, mode }) === undefined) return false;
  chmodSync(folder, mode);
  return true;
}

function serverNameFrom(hostname: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}/.exec(hostname)?.[0] ?? "server";
}

/** Addresses of this host that a client elsewhere could reach: no loopback, no link-local, no bridge of its own. */
function ownAddresses(): string[] {
  const found = Object.entries(networkInterfaces())
    .filter(([name]) => !/^(docker|br-|veth|virbr|lo)/.test(name))
    .flatMap(([, list]) => list ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address))
    .map(({ address }) => address);
  if (found.length > 0) return found.slice(0, 8);
  throw new TockError(
    "usage",
    "this host has no address that clients could use",
    "name one: --address 203.0.113.7",
  );
}

function nextSteps(file: string, { server, users }: Settings): string {
  const user = users[0]?.name;
  const start = existsSync(UNIT)
    ? "  systemctl enable --now tockd tock-guard"
    : "  tockd run                       starts the daemon";
  return `made ${file} and ${server.state}

next:
  ${user === undefined ? `add yourself to ${file}: [users.NAME]` : `look at ${file}`}, then tockd check
  tockd device add ${user ?? "NAME"}/laptop   enrols a device: prints its link and QR code
${start}
  tockd guard on                  shuts the protected ports
`;
}
