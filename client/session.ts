import { KeySchedule } from "../shared/key-schedule.ts";
import type { Secret } from "../shared/secret.ts";
import { stepAt } from "../shared/time-step.ts";
import type { Given } from "./args.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Keys, Profile } from "./profile.ts";
import { ProfileStore } from "./profile-store.ts";
import { type Family, resolveHosts } from "./resolve.ts";
import { type Answered, type Delivery, sendSpa, type Target, type Timing } from "./send-spa.ts";
import { type Form, makePacket, makeRequest, type Wish } from "./spa-packet.ts";
import { type UNLOCK, unlock } from "./unlock.ts";
import type { Vault } from "./vault.ts";

/** How to send. */
export interface Manner {
  readonly form: Form;
  readonly timing: Timing;
  /** Whether to ask for a reply, and so to wait for one. */
  readonly replies: boolean;
  /** Without replies: send again by the schedule until this says stop, in place of sending once. */
  readonly until?: AbortSignal | undefined;
  readonly localPort?: number | undefined;
}

/** What came of one request. */
export interface Outcome {
  readonly deliveries: readonly Delivery[];
  /** The reply that counts: one that says yes, else the first that says no; undefined = silence. */
  readonly best: Answered | undefined;
}

/** One profile, its secrets unlocked: the way to talk to its server. */
export class Session {
  readonly store: ProfileStore;
  readonly clock: Clock;
  #profile: Profile;
  #keys: Keys;
  #vault: Vault;

  private constructor(store: ProfileStore, profile: Profile, vault: Vault, clock: Clock) {
    this.store = store;
    this.#vault = vault;
    this.clock = clock;
    this.#profile = profile;
    this.#keys = vault.open(profile.keys);
  }

  /** Loads a profile and unlocks it, which may ask the user. */
  static async open(name: string, given: Given<typeof UNLOCK> = {}): Promise<Session> {
    const store = new ProfileStore();
    const profile = store.load(name);
    return new Session(store, profile, await unlock(profile, given), systemClock);
  }

  /** A profile that was made just now, with the vault that sealed it. */
  static of(store: ProfileStore, profile: Profile, vault: Vault): Session {
    return new Session(store, profile, vault, systemClock);
  }

  get profile(): Profile {
    return this.#profile;
  }

  get keys(): Keys {
    return this.#keys;
  }

  /** Changes the secrets, starting from what the file holds at that moment, and has them on disk before it returns. */
  async changeKeys(change: (keys: Keys) => Keys): Promise<void> {
    this.#profile = await this.store.update(this.#profile.name, (profile) => {
      const before = this.#vault.open(profile.keys);
      const after = change(before);
      return after === before ? profile : { ...profile, keys: this.#vault.seal(after) };
    });
    this.#keys = this.#vault.open(this.#profile.keys);
  }

  /** Keeps the secrets under another vault from now on. */
  async reseal(vault: Vault): Promise<void> {
    this.#profile = await this.store.update(this.#profile.name, (profile) => ({
      ...profile,
      keys: vault.seal(this.#vault.open(profile.keys)),
    }));
    this.#vault = vault;
  }

  /** Where packets go: every address of the profile, of both families or of one. */
  async targets(family: Family): Promise<Target[]> {
    const { addresses, port } = this.#profile.info;
    return (await resolveHosts(addresses, family)).map((address) => ({ address, port }));
  }

  /** Sends a request under one secret to each target, with a nonce of its own each. */
  async send(secret: Secret, wish: Wish, targets: readonly Target[], manner: Manner): Promise<Outcome> {
    const now = this.clock.now();
    const keys = new KeySchedule(secret, this.#profile.info.serverId).keys(stepAt(now));
    const request = makeRequest(wish, now, manner.replies);
    const shipments = targets.map((target) => ({ target, packet: makePacket(keys, request, manner.form) }));
    const isOnce = !manner.replies && manner.until === undefined;
    const timing = isOnce ? { ...manner.timing, timeout: 0 } : manner.timing;
    const deliveries = await sendSpa(shipments, timing, { ...manner, clock: this.clock });
    const answered = deliveries.filter((delivery) => delivery.state === "answered");
    return { deliveries, best: answered.find(({ done }) => done) ?? answered[0] };
  }
}
