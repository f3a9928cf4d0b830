import { KeySchedule } from "../../shared/key-schedule.ts";
import type { Secret } from "../../shared/secret.ts";
import type { Device, Slot } from "./device.ts";

/** Retired secrets that are still recognised: the newest ones. More would make a device that rotates often costly. */
const MAX_RETIRED = 16;

/** One secret of a device, with its key schedule. */
export interface OwnedKey {
  /** Place among the device's keys. */
  readonly index: number;
  readonly slot: Slot;
  readonly secret: Secret;
  /** Unix milliseconds from which on the secret is forgotten. */
  readonly until: number;
  readonly mayKnock: boolean;
  /** HKDF's extract is done at the first call. */
  readonly schedule: () => KeySchedule;
}

/** Every secret of one device under the number that the tables know it by. */
export interface DeviceKeys {
  readonly number: number;
  readonly device: Device;
  readonly list: readonly OwnedKey[];
}

/** Lists the keys of a device. Schedules that `before` has for the same secrets are taken over. */
export function keysOf(
  number: number,
  device: Device,
  mayKnock: boolean,
  serverId: Uint8Array,
  before?: DeviceKeys,
): DeviceKeys {
  // A link may have been seen by others, and a knock has no way to rotate.
  const retired = device.retired.toSorted((a, b) => b.until - a.until).slice(0, MAX_RETIRED);
  const secrets: Omit<OwnedKey, "index" | "schedule">[] = [
    {
      slot: "current",
      secret: device.current.secret,
      until: Number.POSITIVE_INFINITY,
      mayKnock: mayKnock && !device.enrolling,
    },
    ...(device.next
      ? [
          {
            slot: "next",
            secret: device.next.secret,
            until: Number.POSITIVE_INFINITY,
            mayKnock: mayKnock && !device.nextFromLink,
          } as const,
        ]
      : []),
    ...retired.map(({ secret, until }) => ({ slot: "retired", secret, until, mayKnock: false }) as const),
  ];
  const list = secrets.map((key, index) => {
    const known = before?.list.find(({ secret }) => secret.equals(key.secret));
    return { ...key, index, schedule: known?.schedule ?? lazySchedule(key.secret, serverId) };
  });
  return { number, device, list };
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

function lazySchedule(secret: Secret, serverId: Uint8Array): () => KeySchedule {
  let schedule: KeySchedule | undefined;
  return () => (schedule ??= new KeySchedule(secret, serverId));
}
