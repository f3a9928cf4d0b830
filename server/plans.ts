import { type Port, seconds, type UnixMillis, unixMillis, userOf } from "../shared/brand.ts";
import type { Settings } from "./config/settings.ts";
import type { Device } from "./core/device.ts";
import { DeviceTable } from "./core/device-table.ts";
import type { GuardPlan, Width } from "./core/firewall.ts";
import type { CapturePlan } from "./core/frame.ts";
import type { Door } from "./core/knock-rules.ts";
import type { TagFilter } from "./core/packet-source.ts";
import type { Policy } from "./core/policy.ts";
import type { HashSeed } from "./core/tag-table.ts";

/** What the settings mean to each part of the daemon. */

export function policyOf(settings: Settings): Policy {
  return {
    users: new Map(settings.users.map((user) => [user.name, user])),
    services: new Map(settings.services.map((service) => [service.name, service])),
    rotateAfter: settings.rotation.rotateAfter,
    expireAfter: settings.rotation.expireAfter,
  };
}

/** Whether anybody may knock: otherwise the knock range is left alone. */
export function isKnockUsed(settings: Settings): boolean {
  return settings.users.some((user) => user.mayKnock);
}

export function mayKnock(settings: Settings, device: Device): boolean {
  return settings.users.some((user) => user.mayKnock && user.name === userOf(device.id));
}

export function capturePlanOf(settings: Settings): CapturePlan {
  const { first, last, transport } = settings.knock;
  return { spa: settings.server.port, knock: isKnockUsed(settings) ? { first, last, transport } : undefined };
}

/** A table of no device yet; what packets may carry goes to the feed, as long as there is one. */
export function emptyTable(
  settings: Settings,
  serverId: Uint8Array,
  seed: HashSeed,
  feed: () => Pick<TagFilter, "add" | "remove"> | undefined,
): DeviceTable {
  return new DeviceTable({
    serverId,
    skew: settings.skew,
    knock: isKnockUsed(settings) ? settings.knock : undefined,
    seed,
    feed: { add: (tags) => feed()?.add(tags), remove: (tags) => feed()?.remove(tags) },
  });
}

/** The SPA port and the knock range are dropped for everybody, so that they look like any other dropped port. */
export function guardPlanOf(settings: Settings): GuardPlan {
  const { port } = settings.server;
  const range = { first: settings.knock.first as Port, last: settings.knock.last as Port };
  const knock = [
    { protocol: "tcp" as const, ...range },
    { protocol: "udp" as const, ...range },
  ];
  const walk =
    settings.server.engine === "kernel"
      ? {
          ranges: knock.filter(({ protocol }) => protocolsOf(settings).includes(protocol)),
          doors: doorsOf(settings),
        }
      : undefined;
  const widths = widthsOf(settings);
  return {
    services: settings.services,
    ...(settings.firewall.allow.length > 0 && { allow: settings.firewall.allow.map(String) }),
    silent: [{ protocol: "udp", first: port, last: port }, ...(isKnockUsed(settings) ? knock : [])],
    ...(walk && { walk }),
    ...(widths.length > 0 && { widths }),
  };
}

/** Every width that some user's grants have. */
function widthsOf({ users }: Settings): Width[] {
  return ([4, 6] as const).flatMap((family) => {
    const prefixes = new Set(users.flatMap(({ widen }) => widen[family] ?? []));
    return [...prefixes].sort((a, b) => a - b).map((prefix) => ({ family, prefix }));
  });
}

/** What knocks may be. */
export function protocolsOf({ knock: { transport } }: Settings): ("tcp" | "udp")[] {
  return transport === "both" ? ["tcp", "udp"] : [transport];
}

/** Every door that a knock can open: a user's own cap may make a service's another one. */
function doorsOf({ services, users }: Settings): Door[] {
  const doors = users
    .filter((user) => user.mayKnock)
    .flatMap((user) =>
      services
        .filter(({ name }) => user.services.includes(name))
        .map(({ name, ttl, maxTtl }) => ({
          service: name,
          seconds: seconds(Math.min(ttl, maxTtl, user.maxTtl ?? maxTtl)),
        })),
    );
  const text = new Set(doors.map((door) => JSON.stringify(door)));
  return [...text].sort().map((each) => JSON.parse(each) as Door);
}

export function systemNow(): UnixMillis {
  return unixMillis(Date.now());
}
