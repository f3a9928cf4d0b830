import { KeySchedule } from "../../shared/key-schedule.ts";
import type { Secret } from "../../shared/secret.ts";
import type { Device, Slot } from "./device.ts";
import type { KeyArena } from "./key-arena.ts";

/** Retired secrets that are still recognised: the newest ones. More would make a device that rotates often costly. */
const MAX_RETIRED = 16;

/** One secret of a device, and where its extracted key lies. */
export class OwnedKey {
  readonly slot: Slot;
  readonly secret: Secret;
  /** Unix milliseconds from which on the secret is forgotten. */
  readonly until: number;
  readonly mayKnock: boolean;
  /** In the arena. */
  readonly place: number;
  #schedule: KeySchedule | undefined;

  constructor(key: Wanted, place: number, schedule?: KeySchedule) {
    this.slot = key.slot;
    this.secret = key.secret;
    this.until = key.until;
    this.mayKnock = key.mayKnock;
    this.place = place;
    this.#schedule = schedule;
  }

  /** The key as the packet path wants it; made when a packet first asks, which is for few devices at a time. */
  schedule(serverId: Uint8Array): KeySchedule {
    return (this.#schedule ??= new KeySchedule(this.secret, serverId));
  }

  /** The same secret in what may be another role. */
  as(key: Wanted): OwnedKey {
    return new OwnedKey(key, this.place, this.#schedule);
  }
}

type Wanted = Pick<OwnedKey, "slot" | "secret" | "until" | "mayKnock">;

/** Every secret of one device under the number that the tables know it by. */
export interface DeviceKeys {
  readonly number: number;
  readonly device: Device;
  readonly list: readonly OwnedKey[];
}

/** Lists the keys of a device. Those that `before` has for the same secrets keep their places in the arena. */
export function keysOf(
  number: number,
  device: Device,
  mayKnock: boolean,
  arena: KeyArena,
  before?: DeviceKeys,
): DeviceKeys {
  const list = wantedKeys(device, mayKnock).map((key) => {
    const known = before?.list.find(({ secret }) => secret.equals(key.secret));
    return known?.as(key) ?? new OwnedKey(key, arena.add(key.secret));
  });
  return { number, device, list };
}

/** Gives back the places of a device's keys, but for those that `after` took over. */
export function releaseKeys(arena: KeyArena, before: DeviceKeys, after?: DeviceKeys): void {
  const kept = new Set(after?.list.map(({ place }) => place));
  for (const { place } of before.list) {
    if (kept.has(place)) continue;
    kept.add(place);
    arena.remove(place);
  }
}

function wantedKeys(device: Device, mayKnock: boolean): Wanted[] {
  const until = Number.POSITIVE_INFINITY;
  const wanted: Wanted[] = [
    { slot: "current", secret: device.current.secret, until, mayKnock: mayKnock && !device.enrolling },
  ];
  // A link may have been seen by others, and a knock has no way to rotate.
  if (device.next !== undefined) {
    const nextMayKnock = mayKnock && !device.nextFromLink;
    wanted.push({ slot: "next", secret: device.next.secret, until, mayKnock: nextMayKnock });
  }
  const retired = device.retired.toSorted((a, b) => b.until - a.until).slice(0, MAX_RETIRED);
  for (const { secret, until } of retired) wanted.push({ slot: "retired", secret, until, mayKnock: false });
  return wanted;
}

/** Whether two lists make the same tags and sequences under the same owners. */
export function sameKeys(a: DeviceKeys, b: DeviceKeys): boolean {
  return (
    a.list.length === b.list.length &&
    a.list.every((key, index) => {
      const other = b.list[index];
      return (
        other !== undefined &&
        key.slot === other.slot &&
        key.mayKnock === other.mayKnock &&
        key.until === other.until &&
        key.secret.equals(other.secret)
      );
    })
  );
}
