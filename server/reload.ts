import { TockError } from "../shared/errors.ts";
import type { Settings } from "./config/settings.ts";
import { capturePlanOf, isKnockUsed } from "./plans.ts";

/** What a new configuration means for a daemon that is running. */
export interface Changes {
  /** Tables that differ, in words for people. */
  readonly names: readonly string[];
  /** Keys that only a restart can change. */
  readonly restart: readonly string[];
  /** Other packets are ours. */
  readonly capture: boolean;
  /** Keys are derived otherwise: of other steps, or in sequences of another shape. */
  readonly tables: boolean;
}

/** Compares two configurations. */
export function changesBetween(before: Settings, after: Settings): Changes {
  const differ = (of: (settings: Settings) => unknown): boolean =>
    JSON.stringify(of(before)) !== JSON.stringify(of(after));
  const fixed: readonly [string, (settings: Settings) => unknown][] = [
    ["[server] state", ({ server }) => server.state],
    ["[server] socket", ({ server }) => server.socket],
    ["[server] engine", ({ server }) => server.engine],
    ["[firewall] backend", ({ firewall }) => firewall.backend],
    ["[metrics] listen", ({ metrics }) => metrics.listen],
  ];
  const named: readonly [string, (settings: Settings) => readonly { readonly name: string }[]][] = [
    ["services", ({ services }) => services],
    ["users", ({ users }) => users],
  ];
  return {
    names: [
      ...(["server", "skew", "knock", "firewall", "rotation", "metrics", "hooks"] as const)
        .filter((table) => differ((settings) => settings[table]))
        .map((table) => (table === "skew" ? "clock" : table)),
      ...named.flatMap(([table, of]) => differing(table, of(before), of(after))),
    ],
    restart: fixed.filter(([, of]) => differ(of)).map(([key]) => key),
    capture: differ(capturePlanOf),
    tables:
      differ(({ skew }) => skew) ||
      differ((settings) => (isKnockUsed(settings) ? settings.knock : undefined)),
  };
}

/** What devices keep in their profiles, and do not learn of by themselves. */
export function adviceOn(before: Settings, after: Settings): string[] {
  const link = "a new link (tockd device rotate USER/DEVICE)";
  const [from, to] = [before.server.port, after.server.port];
  const ports = (settings: Settings): Map<string, string> =>
    new Map(settings.services.map(({ name, ports }) => [name, JSON.stringify(ports)]));
  const old = ports(before);
  const moved = [...ports(after)].filter(([name, now]) => old.has(name) && old.get(name) !== now);
  const isShape = (settings: Settings): unknown => (isKnockUsed(settings) ? settings.knock : undefined);
  return [
    ...(from === to
      ? []
      : [`devices send to udp/${from}, and the server hears udp/${to} now: each needs ${link}`]),
    ...(moved.length === 0
      ? []
      : [`devices name the old ports of ${moved.map(([name]) => name).join(", ")} until they have ${link}`]),
    ...(JSON.stringify(isShape(before)) === JSON.stringify(isShape(after))
      ? []
      : [`devices knock on the old ports until they have ${link}`]),
  ];
}

/** Why these changes cannot be made while the daemon runs; undefined = they can. */
export function needsRestart({ restart }: Changes): TockError | undefined {
  if (restart.length === 0) return undefined;
  const keys = restart.join(", ");
  return new TockError(
    "config",
    `reload: ${keys} cannot change while the daemon runs`,
    "restart tockd: the guard stays on, and open grants stay open unless the backend or the state folder changes",
  );
}

function differing(
  table: string,
  before: readonly { readonly name: string }[],
  after: readonly { readonly name: string }[],
): string[] {
  const texts = (list: readonly { readonly name: string }[]): Map<string, string> =>
    new Map(list.map((each) => [each.name, JSON.stringify(each)]));
  const [old, fresh] = [texts(before), texts(after)];
  const names = [...new Set([...old.keys(), ...fresh.keys()])];
  return names.filter((name) => old.get(name) !== fresh.get(name)).map((name) => `${table}.${name}`);
}
