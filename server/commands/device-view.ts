import type { UnixMillis } from "../../shared/brand.ts";
import { userOf } from "../../shared/brand.ts";
import { roughly } from "../config/duration.ts";
import type { Settings } from "../config/settings.ts";
import type { User } from "../core/user.ts";
import type { DeviceRecord } from "../store/device-rows.ts";

/** What people and programs may see of a device: never a secret. */

/** One word for what a device can do now, the strongest hindrance first. */
export type DeviceState =
  | "no-user"
  | "user-disabled"
  | "disabled"
  | "expired"
  | "secret-expired"
  | "enrolling"
  | "rotating"
  | "static"
  | "active";

export type DeviceJson = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** Shows devices as they stand under some settings at some moment. */
export class DeviceView {
  static readonly heading = ["DEVICE", "STATE", "SECRET", "LAST USED", "FROM", "EXPIRES"] as const;
  readonly #users: ReadonlyMap<string, User>;
  readonly #expireAfter: Settings["rotation"]["expireAfter"];
  readonly #now: UnixMillis;

  constructor(settings: Settings, now: UnixMillis) {
    this.#users = new Map(settings.users.map((user) => [user.name, user]));
    this.#expireAfter = settings.rotation.expireAfter;
    this.#now = now;
  }

  /** For `--json`. Times are RFC 3339; null = none. */
  json(device: DeviceRecord): DeviceJson {
    return {
      device: device.id,
      state: this.#state(device),
      enabled: device.enabled,
      enrolling: device.enrolling,
      static: device.isStatic,
      services: device.services ?? this.#users.get(userOf(device.id))?.services ?? [],
      created: time(device.createdAt),
      secretSince: time(device.current.since),
      nextSecretSince: time(device.next?.since),
      secretUntil: time(device.currentUntil),
      retiredSecrets: device.retired.length,
      expires: time(device.expiresAt),
      lastUsed: time(device.lastUse?.at),
      lastUsedFrom: device.lastUse?.source ?? null,
    };
  }

  /** A line of the list, under {@link DeviceView.heading}. */
  row(device: DeviceRecord): string[] {
    const { current, lastUse, expiresAt } = device;
    return [
      device.id,
      this.#state(device),
      `${roughly(this.#now - current.since)} old`,
      lastUse === undefined ? "never" : `${roughly(this.#now - lastUse.at)} ago`,
      lastUse?.source ?? "-",
      time(expiresAt)?.slice(0, 10) ?? "never",
    ];
  }

  #state(device: DeviceRecord): DeviceState {
    const user = this.#users.get(userOf(device.id));
    if (user === undefined) return "no-user";
    if (!user.enabled) return "user-disabled";
    if (!device.enabled) return "disabled";
    if (this.#isPast(user.expiresAt) || this.#isPast(device.expiresAt)) return "expired";
    const { since } = device.next ?? device.current;
    if (this.#expireAfter !== undefined && this.#now - since >= this.#expireAfter * 1000)
      return "secret-expired";
    if (device.enrolling) return "enrolling";
    if (device.next !== undefined) return "rotating";
    return device.isStatic ? "static" : "active";
  }

  #isPast(moment: UnixMillis | undefined): boolean {
    return moment !== undefined && moment <= this.#now;
  }
}

function time(moment: UnixMillis | undefined): string | null {
  return moment === undefined ? null : new Date(moment).toISOString();
}
