import { readdirSync } from "node:fs";
import { join } from "node:path";
import { quote } from "../shared/brand.ts";
import { TockError } from "../shared/errors.ts";
import { unwrap } from "../shared/result.ts";
import { tockHome } from "./home.ts";
import { withLock } from "./lock.ts";
import {
  checkPrivateFolder,
  makePrivateFolder,
  movePrivate,
  readPrivate,
  removePrivate,
  writePrivate,
} from "./private-file.ts";
import { decodeProfile, encodeProfile, type Profile } from "./profile.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** Names of devices on Windows, with or without an ending. */
const RESERVED = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/** The profiles of one user: `profiles/NAME.json` under the home folder, and `.lock` beside them. */
export class ProfileStore {
  readonly #folder: string;

  constructor(home: string = tockHome()) {
    this.#folder = join(home, "profiles");
  }

  pathOf(name: string): string {
    return join(this.#folder, `${name}.json`);
  }

  /** The names of all profiles, sorted. */
  names(): string[] {
    checkPrivateFolder(this.#folder);
    return list(this.#folder)
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .filter((name) => NAME.test(name))
      .sort();
  }

  /** A profile; an error where there is none of this name, or where its file is damaged or open to others. */
  load(name: string): Profile {
    assertName(name);
    checkPrivateFolder(this.#folder);
    const text = readPrivate(this.pathOf(name));
    if (text === undefined) throw this.#unknown(name);
    return unwrap(decodeProfile(name, text));
  }

  has(name: string): boolean {
    assertName(name);
    return this.names().includes(name);
  }

  /** Adds a profile; an error where there is one of this name. */
  async create(profile: Profile): Promise<void> {
    assertName(profile.name);
    makePrivateFolder(this.#folder);
    await withLock(this.#lock, () => {
      if (readPrivate(this.pathOf(profile.name)) !== undefined) {
        const hint = "choose another with --name; --replace keeps this one until the new one is enrolled";
        throw new TockError("exists", `profile ${profile.name} exists already`, hint);
      }
      writePrivate(this.pathOf(profile.name), encodeProfile(profile));
    });
  }

  /** Changes a profile, starting from what the file holds at that moment. Gives the profile as it is then. */
  async update(name: string, change: (profile: Profile) => Profile): Promise<Profile> {
    return withLock(this.#lock, () => {
      const before = this.load(name);
      const after = change(before);
      if (after !== before) writePrivate(this.pathOf(name), encodeProfile(after));
      return after;
    });
  }

  /** Puts a profile in the place of another one, in one step. */
  async move(from: string, to: string): Promise<void> {
    this.assertThere(from);
    await withLock(this.#lock, () => movePrivate(this.pathOf(from), this.pathOf(to)));
  }

  /** Throws where there is no profile of this name; one that is damaged is there. */
  assertThere(name: string): void {
    assertName(name);
    checkPrivateFolder(this.#folder);
    if (!list(this.#folder).includes(`${name}.json`)) throw this.#unknown(name);
  }

  /** Removes a profile, secrets and all. Works on a damaged one too. */
  async remove(name: string): Promise<void> {
    this.assertThere(name);
    await withLock(this.#lock, () => removePrivate(this.pathOf(name)));
  }

  get #lock(): string {
    return join(this.#folder, ".lock");
  }

  #unknown(name: string): TockError {
    const names = list(this.#folder).filter((file) => file.endsWith(".json"));
    const hint =
      names.length === 0 ? "tock enroll - takes an enrolment link and makes one" : "tock list shows them";
    return new TockError("not-found", `there is no profile ${quote(name)}`, hint);
  }
}

/** Refuses names that could not be a file everywhere. */
export function assertName(name: string): void {
  if (NAME.test(name) && !RESERVED.test(name)) return;
  const message = `profile: expected a name of 1 to 63 letters, digits, . - and _, got ${quote(name)}`;
  throw new TockError("usage", message, "start it with a letter or digit, for example myserver");
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
