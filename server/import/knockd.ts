import { DEFAULT_SPA_PORT } from "../../shared/constants.ts";
import { formatPortRange } from "../../shared/port-range.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { type Meaning, meaningOf } from "./command.ts";
import { type Imported, type Mistake, MOST_TTL, type Note } from "./imported.ts";
import { knockRange, nameFrom, NO_RANGE, ServiceList } from "./ports.ts";

interface Setting {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

interface Section {
  readonly name: string;
  readonly line: number;
  readonly settings: readonly Setting[];
}

/** Why settings of knockd's have no counterpart, and how Tock does what they did. */
export const KNOCKD_NOTES: Readonly<Record<string, string>> = {
  usesyslog: "tockd writes JSON lines to its standard output: the journal keeps them",
  logfile: "tockd writes JSON lines to its standard output: the journal keeps them",
  pidfile: "tockd runs in the foreground; systemd knows its process",
  interface: "every interface is listened on, those that come later too",
  sequence:
    "a fixed sequence opens for whoever has seen it once: a device's changes every 30 seconds and works once",
  one_time_sequences:
    "every sequence works once, and comes from the device's secret and the clock: there is no list that runs out",
  seq_timeout: "a sequence has 10 seconds",
  tcpflags: "a TCP knock is a SYN, always; other packets to the ports neither help nor harm",
  target: "Tock protects the machine that it runs on",
};
const UNUSED_TIMEOUT = "without a stop command it did nothing; services shut after their ttl";
/** Settings that a door may have. */
const DOOR = new Set(
  "sequence one_time_sequences seq_timeout tcpflags target start_command command start_command_6 command_6 cmd_timeout stop_command stop_command_6".split(
    " ",
  ),
);
const OPTIONS = new Set(["usesyslog", "logfile", "pidfile", "interface"]);

interface State {
  readonly user: string;
  readonly services: ServiceList;
  readonly notes: Note[];
  readonly transports: Set<"tcp" | "udp">;
  readonly hooks: { grant: (readonly string[])[]; close: (readonly string[])[] };
  doors: number;
}

/** Reads /etc/knockd.conf: each door becomes a service that one user may open by knocking. */
export function importKnockd(text: string, user: string): Result<Imported, readonly Mistake[]> {
  const parsed = sectionsOf(text);
  if (!parsed.ok) return parsed;
  const state: State = {
    user,
    services: new ServiceList(),
    notes: [],
    transports: new Set(),
    hooks: { grant: [], close: [] },
    doors: 0,
  };
  const mistakes: Mistake[] = [];
  for (const section of parsed.value) {
    if (section.name.toLowerCase() === "options") options(section, state, mistakes);
    else door(section, state, mistakes);
  }
  if (mistakes.length > 0) return err(mistakes);
  const [first = "tcp", second] = [...state.transports];
  state.notes.push(...state.services.leaveOut(DEFAULT_SPA_PORT));
  const services = state.services.list();
  if (knockRange(services) === undefined)
    state.notes.push({ line: undefined, what: "sequence", why: NO_RANGE });
  return ok({
    services,
    users: [
      {
        name: user,
        services: services.map(({ name }) => name),
        networks: [],
        expires: undefined,
        knock: true,
        address: "packet",
        maxTtl: undefined,
        device: `${user}/laptop`,
      },
    ].filter(() => services.length > 0) as Imported["users"],
    port: undefined,
    transport: second === undefined ? first : "both",
    backend: /\bnft\b/.test(text) && !/\biptables\b/.test(text) ? "nftables" : "iptables",
    ...hooksOf(state),
    notes: state.notes,
  });
}

/** Hooks run for every grant: a program is carried over only where it was every door's. */
function hooksOf({ hooks, notes, doors }: State): Pick<Imported, "onGrant" | "onClose"> {
  const one = (all: (readonly string[])[], what: string): readonly string[] | undefined => {
    const [first] = all;
    if (first === undefined) return undefined;
    if (all.length === doors && all.every((each) => JSON.stringify(each) === JSON.stringify(first)))
      return first;
    notes.push({
      line: undefined,
      what,
      why: `a hook runs for every service: name one program that looks at TOCK_SERVICE, and calls ${all.map(([program]) => program).join(" or ")}`,
    });
    return undefined;
  };
  return { onGrant: one(hooks.grant, "commands"), onClose: one(hooks.close, "stop commands") };
}

function options({ settings }: Section, { notes }: State, mistakes: Mistake[]): void {
  for (const { key, line } of settings) {
    if (!OPTIONS.has(key)) mistakes.push({ line, message: `${key} is no setting of [options]` });
    else notes.push({ line, what: key, why: KNOCKD_NOTES[key] ?? "" });
  }
}

function door(section: Section, state: State, mistakes: Mistake[]): void {
  const { name, settings, line } = section;
  const { notes, services, hooks } = state;
  const value = (...keys: string[]): Setting | undefined => settings.find(({ key }) => keys.includes(key));
  for (const each of settings)
    if (!DOOR.has(each.key))
      mistakes.push({ line: each.line, message: `${each.key} is no setting of a door` });
  const sequence = value("sequence");
  if (sequence === undefined && value("one_time_sequences") === undefined)
    mistakes.push({ line, message: `[${name}] has neither a sequence nor one_time_sequences` });
  for (const each of sequence?.value.split(",") ?? []) {
    const [, port, protocol = "tcp"] = /^\s*(\d{1,5})(?::(tcp|udp))?\s*$/i.exec(each) ?? [];
    if (port === undefined || Number(port) < 1 || Number(port) > 65_535)
      mistakes.push({
        line: sequence?.line ?? line,
        message: `${JSON.stringify(each.trim())} is no port of a sequence`,
      });
    else state.transports.add(protocol.toLowerCase() === "udp" ? "udp" : "tcp");
  }
  const start = value("start_command", "command");
  const stop = value("stop_command");
  const timeout = value("cmd_timeout");
  const ttl = ttlOf(timeout, mistakes);
  if (timeout !== undefined && stop === undefined)
    notes.push({ line: timeout.line, what: `[${name}] cmd_timeout`, why: UNUSED_TIMEOUT });
  for (const { key, line } of settings.filter(({ key }) => KNOCKD_NOTES[key] !== undefined))
    notes.push({ line, what: `[${name}] ${key}`, why: KNOCKD_NOTES[key] ?? "" });
  if (start === undefined) {
    notes.push({ line, what: `[${name}]`, why: "it has no command, so it opens nothing" });
    return;
  }
  state.doors++;
  const meaning = meaningOf(start.value);
  if (meaning.kind === "close") {
    notes.push({ line, what: `[${name}]`, why: "services shut after their ttl; sooner with: tock close" });
    state.doors--;
    return;
  }
  if (meaning.kind === "open") {
    const wish = nameFrom(name.replace(/^(openclose|open|close|allow)[-_]?/i, ""), 16) || "door";
    services.take(state.user, meaning.ports, wish, stop && ttl);
    if (stop === undefined)
      notes.push({
        line: start.line,
        what: `[${name}] command`,
        why: "it never shut again; the service does after its ttl, 30s unless you write another. Connections go on",
      });
  } else if (meaning.kind === "program") {
    hooks.grant.push(meaning.argv);
    notes.push({
      line: start.line,
      what: `[${name}] command`,
      why: "it runs as a hook after a service was opened, as the user nobody; it needs a service to run for",
    });
  } else if (meaning.kind === "refused") {
    notes.push({ line: start.line, what: `[${name}] ${start.key}`, why: meaning.why });
  }
  stopCommand(name, stop, state);
  sixth(name, meaning, value("start_command_6", "command_6"), state);
}

function stopCommand(name: string, stop: Setting | undefined, { hooks, notes }: State): void {
  if (stop === undefined) return;
  const meaning = meaningOf(stop.value);
  if (meaning.kind === "program") hooks.close.push(meaning.argv);
  else if (meaning.kind === "refused")
    notes.push({ line: stop.line, what: `[${name}] ${stop.key}`, why: meaning.why });
}

/** Tock opens for the address that knocked, of whichever family. */
function sixth(name: string, fourth: Meaning, start: Setting | undefined, { notes }: State): void {
  if (start === undefined) return;
  const what = `[${name}] ${start.key}`;
  if (start.value === "") {
    notes.push({
      line: start.line,
      what,
      why: "IPv6 is served as IPv4 is; to keep it out, list IPv4 networks alone",
    });
    return;
  }
  const meaning = meaningOf(start.value);
  const ports = (each: Meaning): string =>
    "ports" in each ? each.ports.map(formatPortRange).join() : each.kind;
  if (ports(meaning) !== ports(fourth))
    notes.push({
      line: start.line,
      what,
      why: "it differs from the command for IPv4; a service has the same ports for both",
    });
}

function ttlOf(setting: Setting | undefined, mistakes: Mistake[]): number | undefined {
  if (setting === undefined) return undefined;
  const seconds = /^\d{1,9}$/.test(setting.value) ? Number(setting.value) : 0;
  if (seconds < 1) {
    mistakes.push({
      line: setting.line,
      message: `cmd_timeout: expected seconds, got ${JSON.stringify(setting.value)}`,
    });
    return undefined;
  }
  return Math.min(seconds, MOST_TTL);
}

/** `[name]` and `key = value` lines; `#` begins a comment line. Keys are put into lower case. */
function sectionsOf(text: string): Result<Section[], readonly Mistake[]> {
  const sections: { name: string; line: number; settings: Setting[] }[] = [];
  const mistakes: Mistake[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const content = raw.trim();
    if (content === "" || content.startsWith("#") || content.startsWith(";")) continue;
    const [, name] = /^\[([^\]]+)\]$/.exec(content) ?? [];
    if (name !== undefined) {
      if (sections.some((section) => section.name === name))
        mistakes.push({ line, message: `[${name}] is there twice` });
      sections.push({ name, line, settings: [] });
      continue;
    }
    const [, key, value = ""] = /^([A-Za-z_0-9]+)\s*(?:=\s*(.*))?$/.exec(content) ?? [];
    const section = sections.at(-1);
    if (key === undefined) mistakes.push({ line, message: "expected [name] or key = value" });
    else if (section === undefined) mistakes.push({ line, message: `${key} stands before the first [name]` });
    else section.settings.push({ key: key.toLowerCase(), value: value.trim(), line });
  }
  if (sections.length === 0 && mistakes.length === 0)
    mistakes.push({ line: 1, message: "there is no [name] in it" });
  return mistakes.length > 0 ? err(mistakes) : ok(sections);
}
