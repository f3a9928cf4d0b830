import { KeySchedule } from "../shared/key-schedule.ts";
import type { Secret } from "../shared/secret.ts";
import { stepAt } from "../shared/time-step.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Keys, Profile } from "./profile.ts";
import { ProfileStore } from "./profile-store.ts";
import { type Family, resolveHosts } from "./resolve.ts";
import { type Answered, type Delivery, sendSpa, type Target, type Timing } from "./send-spa.ts";
import { type Form, makePacket, makeRequest, type Wish } from "./spa-packet.ts";
import { plainVault, type Vault } from "./vault.ts";

/** How to send. */
export interface Manner {
  readonly form: Form;
  readonly timing: Timing;
  /** Whether to ask for a reply, and so to wait for one. */
  readonly replies: boolean;
  readonly localPort?: number | undefined;
  readonly onDone?: ((delivery: Answered) => void) | undefined;
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
  readonly vault: Vault;
  readonly clock: Clock;
  #profile: Profile;
  #keys: Keys;

  private constructor(store: ProfileStore, profile: Profile, vault: Vault, clock: Clock) {
    this.store = store;
    this.vault = vault;
    this.clock = clock;
    this.#profile = profile;
    this.#keys = vault.open(profile.keys);
  }

  static open(name: string, store = new ProfileStore(), clock = systemClock): Session {
    const profile = store.load(name);
    return new Session(store, profile, plainVault, clock);
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
      const before = this.vault.open(profile.keys);
      const after = change(before);
      return after === before ? profile : { ...profile, keys: this.vault.seal(after) };
    });
    this.#keys = this.vault.open(this.#profile.keys);
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
    const timing = manner.replies ? manner.timing : { ...manner.timing, timeout: 0 };
    const deliveries = await sendSpa(shipments, timing, { ...manner, clock: this.clock });
    const answered = deliveries.filter((delivery) => delivery.state === "answered");
    return { deliveries, best: answered.find(({ done }) => done) ?? answered[0] };
  }
}
