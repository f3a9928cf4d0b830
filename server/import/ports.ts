import type { Port } from "../../shared/brand.ts";
import { formatPortRange, type PortRange, rangesOverlap } from "../../shared/port-range.ts";
import type { ImportedService } from "./imported.ts";

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

/** Services in the making: a port belongs to one of them, whoever asks for it. */
export class ServiceList {
  readonly #services: {
    name: string;
    ports: PortRange[];
    ttl: number | undefined;
    maxTtl: number | undefined;
  }[] = [];

  /**
   * The names of the services that open these ports. Ports that no service has yet become a new one, called after the
   * well-known port or `wish`. A service keeps the longest of the lifetimes that are asked of it.
   */
  take(ports: readonly PortRange[], wish: string, ttl?: number, maxTtl?: number): string[] {
    const names = new Set<string>();
    const left: PortRange[] = [];
    for (const range of ports) {
      const owner = this.#services.find((service) =>
        service.ports.some((each) => rangesOverlap(each, range)),
      );
      if (owner === undefined) {
        if (!left.some((each) => rangesOverlap(each, range))) left.push(range);
        continue;
      }
      if (!owner.ports.some((each) => each.first <= range.first && each.last >= range.last)) {
        left.push(...cut(range, owner.ports));
      }
      names.add(owner.name);
      owner.ttl = longest(owner.ttl, ttl);
      owner.maxTtl = longest(owner.maxTtl, maxTtl);
    }
    if (left.length > 0) {
      const [only] = left;
      const known = left.length === 1 && only !== undefined ? KNOWN[formatPortRange(only)] : undefined;
      const name = this.#free(known ?? wish);
      this.#services.push({ name, ports: left, ttl, maxTtl });
      names.add(name);
    }
    return [...names];
  }

  list(): ImportedService[] {
    return this.#services;
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
