import { hex } from "../shared/bytes.ts";
import type { Enrolment } from "../shared/enrolment.ts";
import { TockError } from "../shared/errors.ts";
import type { Given } from "./args.ts";
import type { Profile } from "./profile.ts";
import { ProfileStore } from "./profile-store.ts";
import { dropKeyOf } from "./protection.ts";
import { Session } from "./session.ts";
import type { UNLOCK } from "./unlock.ts";

/**
 * `tock enroll --replace`: the new profile is made beside the old one, as NAME.new, and takes its place once the server has
 * taken it. Whatever cuts that off, one of them opens.
 */
export class Replacement {
  readonly #store = new ProfileStore();
  readonly name: string;
  /** Where the new profile is until then. */
  readonly draft: string;

  /** Undefined where there is nothing to replace. Throws where that is of another server. */
  static of(name: string, enrolment: Enrolment): Replacement | undefined {
    const replacement = new Replacement(name);
    if (!replacement.#store.has(name)) return undefined;
    const old = loadIfWhole(replacement.#store, name);
    if (old === undefined || hex(old.info.serverId) === hex(enrolment.serverId)) return replacement;
    const hint = `choose another name with --name; where that server is no more: tock forget ${name}`;
    throw new TockError("exists", `profile ${name} is of another server than the link`, hint);
  }

  private constructor(name: string) {
    this.name = name;
    this.draft = `${name}.new`;
  }

  /** Makes room for the draft of this link: one that is enrolled already has its place first, one of another link goes. */
  async prepare({ secret }: Enrolment, given: Given<typeof UNLOCK>): Promise<void> {
    if (!this.#store.has(this.draft)) return;
    const { keys } = await Session.open(this.draft, given);
    if (!keys.enrolling || keys.next?.acknowledged === true) await this.finish();
    else if (!keys.current.equals(secret)) await this.#store.remove(this.draft);
  }

  /** Puts the draft in the place of the old profile. Gives whether that was sealed. */
  async finish(): Promise<boolean> {
    const old = loadIfWhole(this.#store, this.name);
    await this.#store.move(this.draft, this.name);
    if (old?.keys.kind !== "sealed") return false;
    await dropKeyOf(old.keys.lock);
    return true;
  }
}

/** A damaged profile can be replaced too. */
function loadIfWhole(store: ProfileStore, name: string): Profile | undefined {
  try {
    return store.load(name);
  } catch {
    return undefined;
  }
}
