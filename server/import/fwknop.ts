import { parseNetwork } from "../../shared/address.ts";
import { DEFAULT_SPA_PORT } from "../../shared/constants.ts";
import type { PortRange } from "../../shared/port-range.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { meaningOf } from "./command.ts";
import { ACCESS_NOTES } from "./fwknop-notes.ts";
import { readFwknopd } from "./fwknopd.ts";
import { type Imported, type ImportedUser, type Mistake, MOST_TTL, type Note } from "./imported.ts";
import { nameFrom, rangeOf, ServiceList } from "./ports.ts";

interface Variable {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

/** Variables of access.conf that say something in Tock. */
const READ = new Set(
  "source open_ports fw_access_timeout max_fw_timeout require_username require_source_address access_expire access_expire_epoch cmd_cycle_open cmd_cycle_close cmd_cycle_timer".split(
    " ",
  ),
);

interface State {
  readonly services: ServiceList;
  readonly notes: Note[];
  readonly mistakes: Mistake[];
  readonly users: Omit<ImportedUser, "services">[];
  readonly cycles: { open: (readonly string[])[]; close: (readonly string[])[] };
}

/** Reads access.conf, and fwknopd.conf where it is given: each stanza becomes a user with one device. */
export function importFwknop(access: string, fwknopd?: string): Result<Imported, readonly Mistake[]> {
  const state: State = {
    services: new ServiceList(),
    notes: [],
    mistakes: [],
    users: [],
    cycles: { open: [], close: [] },
  };
  const stanzas = stanzasOf(access, state);
  for (const [index, stanza] of stanzas.entries()) readStanza(stanza, index + 1, state);
  const server = fwknopd === undefined ? undefined : readFwknopd(fwknopd, state);
  if (state.mistakes.length > 0) return err(state.mistakes);
  state.notes.push(...state.services.leaveOut(server?.port ?? DEFAULT_SPA_PORT));
  return ok({
    services: state.services.list(),
    users: state.users.map((user) => ({ ...user, services: state.services.namesOf(user.name) })),
    port: server?.port,
    transport: undefined,
    backend: "iptables",
    onGrant: only(state.cycles.open, stanzas.length, "CMD_CYCLE_OPEN", state.notes),
    onClose: only(state.cycles.close, stanzas.length, "CMD_CYCLE_CLOSE", state.notes),
    notes: state.notes,
  });
}

function readStanza(variables: readonly Variable[], number: number, state: State): void {
  const { notes, mistakes } = state;
  const what = (name: string): string => `stanza ${number}: ${name.toUpperCase()}`;
  for (const { name, line } of variables) {
    const why = ACCESS_NOTES[name];
    if (why !== undefined) notes.push({ line, what: what(name), why });
    else if (!READ.has(name))
      mistakes.push({ line, message: `${name.toUpperCase()} is no variable of access.conf` });
  }
  const value = (name: string): Variable | undefined => variables.findLast((each) => each.name === name);
  const seconds = (name: string): number | undefined => secondsOf(value(name), mistakes);
  const networks = networksOf(value("source"), mistakes);
  const expires = expiryOf(value("access_expire"), value("access_expire_epoch"), mistakes);
  const ttl = seconds("fw_access_timeout") ?? seconds("cmd_cycle_timer");
  const maxTtl = seconds("max_fw_timeout");
  const cycle = cycleOf(variables, what, state);
  const ports = [...portsOf(value("open_ports"), mistakes), ...cycle];
  const wish = value("require_username")?.value ?? "";
  const name = freeName(nameFrom(wish, 32) || `user${number}`, state.users);
  if (ports.length === 0) {
    const why =
      "without OPEN_PORTS a packet could ask for any port: name the ports in [services.NAME], and give them to a user";
    notes.push({ line: variables[0]?.line, what: what("source"), why });
    return;
  }
  if (value("require_username") === undefined)
    notes.push({
      line: variables[0]?.line,
      what: what("source"),
      why: `a stanza has no name: this one is the user ${name}; rename it as you like`,
    });
  const address = isYes(value("require_source_address")) ? "claimed-must-match" : "packet";
  if (address !== "packet")
    notes.push({
      line: value("require_source_address")?.line,
      what: what("require_source_address"),
      why: "a packet must name the address that it comes from: behind a NAT that is the outside one",
    });
  state.services.take(name, ports, name, ttl, maxTtl);
  const maxOfUser = maxTtl ?? ttl;
  const device = `${name}/laptop`;
  state.users.push({ name, networks, expires, knock: false, address, maxTtl: maxOfUser, device });
}

/** What a command cycle opens; its programs go to the hooks. */
function cycleOf(variables: readonly Variable[], what: (name: string) => string, state: State): PortRange[] {
  const ports: PortRange[] = [];
  for (const [name, list] of [
    ["cmd_cycle_open", state.cycles.open],
    ["cmd_cycle_close", state.cycles.close],
  ] as const) {
    const variable = variables.findLast((each) => each.name === name);
    if (variable === undefined || variable.value === "NONE") continue;
    const meaning = meaningOf(variable.value);
    if (meaning.kind === "open" && name === "cmd_cycle_open") ports.push(...meaning.ports);
    else if (meaning.kind === "program") list.push(meaning.argv);
    else if (meaning.kind === "refused")
      state.notes.push({ line: variable.line, what: what(name), why: meaning.why });
  }
  return ports;
}

/** Hooks run for every grant: a program is carried over only where it was every stanza's. */
function only(
  all: readonly (readonly string[])[],
  stanzas: number,
  what: string,
  notes: Note[],
): readonly string[] | undefined {
  const [first] = all;
  if (first === undefined) return undefined;
  if (all.length === stanzas && all.every((each) => JSON.stringify(each) === JSON.stringify(first)))
    return first;
  const why =
    "a hook runs for every grant: name one program that looks at TOCK_USER and TOCK_SERVICE, and calls the others";
  notes.push({ line: undefined, what, why });
  return undefined;
}

function portsOf(variable: Variable | undefined, mistakes: Mistake[]): PortRange[] {
  if (variable === undefined) return [];
  return variable.value.split(",").flatMap((each) => {
    const [, protocol, port = ""] = /^\s*(tcp|udp)\s*\/\s*(\S+)\s*$/i.exec(each) ?? [];
    const range =
      protocol === undefined ? undefined : rangeOf(protocol.toLowerCase() === "udp" ? "udp" : "tcp", port);
    if (range !== undefined) return [range];
    mistakes.push({
      line: variable.line,
      message: `OPEN_PORTS: expected tcp/PORT or udp/PORT, got ${JSON.stringify(each.trim())}`,
    });
    return [];
  });
}

function networksOf(variable: Variable | undefined, mistakes: Mistake[]): string[] {
  const words = variable?.value.split(/[,\s]+/).filter(Boolean) ?? [];
  if (words.some((word) => /^(any|0\.0\.0\.0\/0)$/i.test(word))) return [];
  return words.flatMap((word) => {
    const network = parseNetwork(word.replace(/\/255\.255\.255\.255$/, ""));
    if (network.ok) return [network.value.toString()];
    mistakes.push({ line: variable?.line ?? 0, message: `SOURCE: ${network.error.message}` });
    return [];
  });
}

/** A date for TOML. The first moment of the day, as fwknop counts it. */
function expiryOf(
  day: Variable | undefined,
  epoch: Variable | undefined,
  mistakes: Mistake[],
): string | undefined {
  if (epoch !== undefined && epoch.value !== "0") {
    if (/^\d{1,11}$/.test(epoch.value))
      return new Date(Number(epoch.value) * 1000).toISOString().slice(0, 19) + "Z";
    mistakes.push({
      line: epoch.line,
      message: `ACCESS_EXPIRE_EPOCH: expected seconds, got ${JSON.stringify(epoch.value)}`,
    });
  }
  if (day === undefined || /^0+\/0+\/0+$/.test(day.value)) return undefined;
  const [, month = "", date = "", year = ""] = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(day.value) ?? [];
  const text = `${year}-${month.padStart(2, "0")}-${date.padStart(2, "0")}`;
  if (year !== "" && isDay(text)) return text;
  mistakes.push({
    line: day.line,
    message: `ACCESS_EXPIRE: expected MM/DD/YYYY, got ${JSON.stringify(day.value)}`,
  });
  return undefined;
}

/** Whether there is such a day: the engine makes the first of March of the 30th of February, or nothing. */
function isDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return time >= 0 && new Date(time).toISOString().startsWith(text);
}

function secondsOf(variable: Variable | undefined, mistakes: Mistake[]): number | undefined {
  if (variable === undefined) return undefined;
  const seconds = /^\d{1,9}$/.test(variable.value) ? Number(variable.value) : 0;
  if (seconds > 0) return Math.min(seconds, MOST_TTL);
  const name = variable.name.toUpperCase();
  mistakes.push({
    line: variable.line,
    message: `${name}: expected seconds, 1 or more, got ${JSON.stringify(variable.value)}`,
  });
  return undefined;
}

function isYes(variable: Variable | undefined): boolean {
  return /^y/i.test(variable?.value ?? "");
}

function freeName(wish: string, users: readonly Pick<ImportedUser, "name">[]): string {
  const isTaken = (name: string): boolean => users.some((user) => user.name === name);
  for (let count = 1; ; count++) {
    const name = count === 1 ? wish : `${wish.slice(0, 28)}-${count}`;
    if (!isTaken(name)) return name;
  }
}

/** `NAME value`, `NAME: value` or `NAME value;`; each SOURCE begins a stanza. Values may be secrets: no message repeats a line. */
function stanzasOf(text: string, { notes, mistakes }: State): Variable[][] {
  const stanzas: Variable[][] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const content = raw.trim();
    if (content === "" || content.startsWith("#")) continue;
    const [, name = "", value = ""] = /^(%?[A-Za-z_0-9]+)\s*:?\s+(.*?)\s*;?$/.exec(content) ?? [];
    const key = name.toLowerCase();
    if (name === "") mistakes.push({ line, message: "expected a variable and its value" });
    else if (key === "source") stanzas.push([{ name: key, value, line }]);
    else if (key.startsWith("%"))
      notes.push({ line, what: name, why: ACCESS_NOTES[key] ?? "it is not known" });
    else if (stanzas.length === 0) mistakes.push({ line, message: `${name} stands before the first SOURCE` });
    else stanzas.at(-1)?.push({ name: key, value, line });
  }
  if (stanzas.length === 0 && mistakes.length === 0 && notes.length === 0)
    mistakes.push({ line: 1, message: "there is no SOURCE in it: is this access.conf?" });
  return stanzas;
}
