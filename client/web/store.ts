import type { Profile } from "./profile.ts";

/** The profiles, in IndexedDB: it takes keys that cannot be exported as they are. */
export class Store {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** Opens the database; rejects where the browser keeps none (some private windows). */
  static async open(): Promise<Store> {
    const request = indexedDB.open("tock", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("profiles", { keyPath: "id" });
    const database = await done(request);
    database.onversionchange = () => database.close();
    return new Store(database);
  }

  async all(): Promise<Profile[]> {
    const profiles = await done(this.#profiles("readonly").getAll() as IDBRequest<Profile[]>);
    return profiles.sort((a, b) => a.createdAt - b.createdAt);
  }

  async get(id: string): Promise<Profile | undefined> {
    return await done(this.#profiles("readonly").get(id) as IDBRequest<Profile | undefined>);
  }

  /** Adds or replaces a profile, and returns when it is on disk. */
  async put(profile: Profile): Promise<void> {
    const store = this.#profiles("readwrite");
    store.put(profile);
    await committed(store.transaction);
  }

  /** Changes a profile, starting from what is stored at that moment. Undefined where it is gone. */
  async update(id: string, change: (profile: Profile) => Profile): Promise<Profile | undefined> {
    const store = this.#profiles("readwrite");
    const before = await done(store.get(id) as IDBRequest<Profile | undefined>);
    if (before === undefined) return undefined;
    const after = change(before);
    if (after !== before) store.put(after);
    await committed(store.transaction);
    return after;
  }

  async remove(id: string): Promise<void> {
    const store = this.#profiles("readwrite");
    store.delete(id);
    await committed(store.transaction);
  }

  #profiles(mode: IDBTransactionMode): IDBObjectStore {
    // A secret that is lost with the power is lost for good: ask for the disk, not for its cache.
    return this.#database.transaction("profiles", mode, { durability: "strict" }).objectStore("profiles");
  }
}

const FAILED = "the browser's storage failed";

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error ?? new Error(FAILED)));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener("complete", () => resolve());
    transaction.addEventListener("abort", () => reject(transaction.error ?? new Error(FAILED)));
  });
}
