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
  /** The device of the old profile, where that can be read. */
  readonly was: string | undefined;
  #aside: string | undefined;

  /** Undefined where there is nothing to replace. Throws where that is of another server. */
  static of(name: string, enrolment: Enrolment): Replacement | undefined {
    const store = new ProfileStore();
    if (!store.has(name)) return undefined;
    const old = loadIfWhole(store, name);
    const replacement = new Replacement(name, old?.info.device);
    if (old === undefined || hex(old.info.serverId) === hex(enrolment.serverId)) return replacement;
    const hint = `choose another name with --name; where that server is no more: tock forget ${name}`;
    throw new TockError("exists", `profile ${name} is of another server than the link`, hint);
  }

  private constructor(name: string, was: string | undefined) {
    this.name = name;
    this.was = was;
    this.draft = `${name}.new`;
  }

  /** Where this run has put a draft of another link. */
  get aside(): string | undefined {
    return this.#aside;
  }

  /**
   * Makes room for the draft of this link: one that is enrolled already has its place first. One of another link may be enrolled
   * as well, where the answer was lost, and then nothing else opens: it is set aside until this one is enrolled.
   */
  async prepare({ secret }: Enrolment, given: Given<typeof UNLOCK>): Promise<void> {
    if (!this.#store.has(this.draft)) return;
    const { keys } = await Session.open(this.draft, given);
    if (!keys.enrolling || keys.next?.acknowledged === true) await this.finish();
    else if (!keys.current.equals(secret)) {
      this.#aside = this.#freeName();
      await this.#store.move(this.draft, this.#aside);
    }
  }

  /** Puts the draft in the place of the old profile. Gives whether that was sealed. */
  async finish(): Promise<boolean> {
    const old = loadIfWhole(this.#store, this.name);
    await this.#store.move(this.draft, this.name);
    for (const name of this.#leftAside()) {
      const left = loadIfWhole(this.#store, name);
      await this.#store.remove(name);
      if (left?.keys.kind === "sealed") await dropKeyOf(left.keys.lock);
    }
    if (old?.keys.kind !== "sealed") return false;
    await dropKeyOf(old.keys.lock);
    return true;
  }

  #freeName(): string {
    for (let number = 2; ; number++) {
      const name = `${this.draft}${number}`;
      if (!this.#store.has(name)) return name;
    }
  }

  /** Drafts that were set aside, of an earlier run too: the same device's, whose secrets are void now. */
  #leftAside(): string[] {
    const idOf = (name: string): string | undefined => {
      const info = loadIfWhole(this.#store, name)?.info;
      return info && `${hex(info.serverId)} ${info.device}`;
    };
    const own = idOf(this.name);
    const isAside = (name: string): boolean =>
      name.startsWith(this.draft) && /^[0-9]+$/.test(name.slice(this.draft.length));
    return this.#store.names().filter((name) => isAside(name) && idOf(name) === own);
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
