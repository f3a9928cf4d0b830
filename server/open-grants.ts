import type { DeviceId, UnixMillis } from "../shared/brand.ts";
import type { Grant } from "./core/grant.ts";

/** Who opened what: the kernel knows addresses alone. Entries go with their time. */
export class OpenGrants {
  readonly #grants = new Map<string, Grant>();

  add(grant: Grant): void {
    this.#grants.set(
      `${grant.device} ${grant.service.name} ${grant.source.text} ${grant.sourcePort ?? ""}`,
      grant,
    );
  }

  /** The grants still open at `now`. */
  list(now: UnixMillis): Grant[] {
    for (const [key, grant] of this.#grants) if (grant.expiresAt <= now) this.#grants.delete(key);
    return [...this.#grants.values()];
  }

  /** Takes out and gives the grants of one device. */
  take(device: DeviceId, now: UnixMillis): Grant[] {
    const taken = this.list(now).filter((grant) => grant.device === device);
    for (const [key, grant] of this.#grants) if (grant.device === device) this.#grants.delete(key);
    return taken;
  }
}
