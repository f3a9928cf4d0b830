import type { Port } from "../../shared/brand.ts";
import { formatPortRange, type PortRange, rangesOverlap } from "../../shared/port-range.ts";
import type { ImportedService, Note } from "./imported.ts";

const KNOWN: Readonly<Record<string, string>> = {
  "tcp/22": "ssh",
  "tcp/25": "smtp",
  "tcp/80": "http",
  "tcp/443": "https",
  "tcp/3389": "rdp",
  "tcp/5900": "vnc",
  "udp/1194": "openvpn",
  "udp/51820": "wireguard",
};

/** Ranges for knock sequences, the default first. */
const KNOCK_RANGES = [
  [10_000, 32_767],
  [32_768, 60_999],
  [1024, 9_999],
] as const;

/** What a file needs a person for whose services have ports everywhere. */
export const NO_RANGE =
  "no range is left for knock sequences: give the services fewer ports, or take knock = true away";

interface Making {
  readonly name: string;
  ports: PortRange[];
  ttl: number | undefined;
  maxTtl: number | undefined;
  readonly users: Set<string>;
}

/**
 * Services in the making: a port belongs to one of them, whoever asks for it. Where somebody else asks for a part of a
 * service's ports it is parted, so that nobody gets more than was asked for.
 */
export class ServiceList {
  #services: Making[] = [];

  /**
   * Asks for ports on behalf of a user. Those that no service has yet become a new one, called after the well-known port or
   * `wish`. A service keeps the longest of the lifetimes that are asked of it.
   */
  take(user: string, ports: readonly PortRange[], wish: string, ttl?: number, maxTtl?: number): void {
    let left: PortRange[] = [];
    for (const range of ports) left.push(...cut(range, left));
    for (const owner of [...this.#services]) {
      const shared = left.flatMap((range) => owner.ports.flatMap((each) => meet(range, each)));
      if (shared.length === 0) continue;
      left = left.flatMap((range) => cut(range, shared));
      const part = owner.users.has(user) ? owner : this.#part(owner, shared, wish);
      part.users.add(user);
      part.ttl = longest(part.ttl, ttl);
      part.maxTtl = longest(part.maxTtl, maxTtl);
    }
    if (left.length > 0) this.#make({ ports: left, ttl, maxTtl, users: new Set([user]) }, wish);
  }

  /** The names of the services that open what the user asked for. Only known when everybody has asked. */
  namesOf(user: string): string[] {
    return this.#services.filter(({ users }) => users.has(user)).map(({ name }) => name);
  }

  /** Takes the port of SPA packets out of every service, as it never opens for anybody; gives the note where it was in one. */
  leaveOut(spaPort: number): Note[] {
    const port = spaPort as Port;
    const spa: PortRange = { protocol: "udp", first: port, last: port };
    const having = this.#services.filter(({ ports }) => ports.some((range) => rangesOverlap(range, spa)));
    for (const service of having) service.ports = service.ports.flatMap((range) => cut(range, [spa]));
    this.#services = this.#services.filter(({ ports }) => ports.length > 0);
    const why = "SPA packets arrive there, so no service has it: choose another [server] port to open it";
    return having.length === 0 ? [] : [{ line: undefined, what: formatPortRange(spa), why }];
  }

  list(): ImportedService[] {
    return this.#services.map(({ name, ports, ttl, maxTtl }) => ({ name, ports, ttl, maxTtl }));
  }

  /** The service of these of the owner's ports alone: itself, or a new one which whoever had the owner has too. */
  #part(owner: Making, shared: PortRange[], wish: string): Making {
    const rest = owner.ports.flatMap((range) => cut(range, shared));
    if (rest.length === 0) return owner;
    owner.ports = rest;
    const { ttl, maxTtl, users } = owner;
    return this.#make({ ports: shared, ttl, maxTtl, users: new Set(users) }, wish);
  }

  #make(service: Omit<Making, "name">, wish: string): Making {
    const [only, second] = service.ports;
    const known = only !== undefined && second === undefined ? KNOWN[formatPortRange(only)] : undefined;
    const made = { name: this.#free(known ?? wish), ...service };
    this.#services.push(made);
    return made;
  }

  #free(wish: string): string {
    const base = nameFrom(wish, 16) || "service";
    const isTaken = (name: string): boolean => this.#services.some((service) => service.name === name);
    if (!isTaken(base)) return base;
    for (let count = 2; ; count++) {
      const name = `${base.slice(0, 13)}-${count}`;
      if (!isTaken(name)) return name;
    }
  }
}

/** The ports that are in both ranges, if any. */
function meet(a: PortRange, b: PortRange): PortRange[] {
  if (!rangesOverlap(a, b)) return [];
  const first = Math.max(a.first, b.first) as Port;
  return [{ protocol: a.protocol, first, last: Math.min(a.last, b.last) as Port }];
}

/** What is left of a range without the ports that others have. */
function cut(range: PortRange, others: readonly PortRange[]): PortRange[] {
  let pieces = [range];
  for (const other of others) {
    pieces = pieces.flatMap((piece) => {
      if (!rangesOverlap(piece, other)) return [piece];
      const before = { ...piece, last: (other.first - 1) as Port };
      const after = { ...piece, first: (other.last + 1) as Port };
      return [before, after].filter(({ first, last }) => first <= last);
    });
  }
  return pieces;
}

function longest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.max(a, b);
}

/** Where sequences may lie: nowhere near a service. `default` needs no word; undefined = the services leave no range. */
export function knockRange(services: readonly ImportedService[]): string | undefined {
  const ranges = services.flatMap(({ ports }) => ports);
  const free = KNOCK_RANGES.find(([first, last]) =>
    ranges.every((range) => range.last < first || range.first > last),
  );
  if (free === undefined) return undefined;
  return free === KNOCK_RANGES[0] ? "default" : `${free[0]}-${free[1]}`;
}

/** A name of Tock's from any text: lower case, other signs as `-`, at most `most` characters; empty where nothing is left. */
export function nameFrom(text: string, most: number): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[-_]+/, "")
    .slice(0, most)
    .replace(/[-_]+$/, "");
}

/** A port or range of another program: `22`, `6000:6007` or `6000-6007`. Undefined = neither. */
export function rangeOf(protocol: "tcp" | "udp", text: string): PortRange | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:[:-](\d{1,5}))?$/.exec(text.trim()) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (!(from >= 1 && to <= 65_535 && from <= to)) return undefined;
  return { protocol, first: from as Port, last: to as Port };
}
