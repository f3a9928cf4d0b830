import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DeviceStore } from "../../server/store/device-store.ts";
import { userOf } from "../../shared/brand.ts";
import { decodeEnrolment } from "../../shared/enrolment.ts";
import type { Secret } from "../../shared/secret.ts";
import type { Argv } from "./exec.ts";
import { formsOf } from "./secret-forms.ts";

/** More are not looked for: a test that enrols thousands is not about them. */
const MOST_SECRETS = 200;
const MOST_FILE = 8 * 2 ** 20;
const LINK = /tock:\/\/enroll\/1#[A-Za-z0-9_-]+/g;

/** The programs whose arguments and environment must hold no secret; other tools of a test may be given one. */
const OURS = /(client|server)\/cli\.ts|\/tockd?(\.js)? /;
/** What these print on standard output is a secret, for the one who asked for it. */
const SHOWS = /\b(device (add|rotate)|user otp add)\b/;

/** What a process was given and what it said. */
export interface Ran {
  readonly argv: Argv;
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly stdout: () => Buffer;
  readonly stderr: () => Buffer;
}

/**
 * Every secret of every device that was enrolled in a lab, looked for in all that the lab's processes were given and have
 * said, and in every file of the lab that others may read.
 */
export class SecretSearch {
  readonly #ran: Ran[] = [];
  readonly #seen: { readonly where: string; readonly bytes: Buffer }[] = [];

  readonly record = (ran: Ran): void => {
    this.#ran.push(ran);
  };

  /** Takes down the command line and the environment, as the kernel has them, of those of these processes that are Tock's. */
  look(pids: readonly number[]): void {
    for (const pid of pids) {
      const [where, bytes] = [`/proc/${pid}/cmdline`, read(`/proc/${pid}/cmdline`)];
      if (!OURS.test(bytes.toString("latin1").replaceAll("\0", " "))) continue;
      this.#seen.push(
        { where, bytes },
        { where: `/proc/${pid}/environ`, bytes: read(`/proc/${pid}/environ`) },
      );
    }
  }

  /** Where a secret shows, in words; to be asked when everything has ended and the folder is still there. */
  leaks(folder: string): string[] {
    const ran = this.#ran.map((one) => ({ ...one, words: one.argv.join(" "), out: one.stdout() }));
    const files = filesBelow(folder, true);
    const secrets = new Map<string, Uint8Array>();
    const learn = (secret: Secret): void => {
      if (secrets.size < MOST_SECRETS) secrets.set(secret.expose().join(), secret.expose().slice());
    };
    for (const { words, out } of ran) {
      if (!SHOWS.test(words)) continue;
      for (const [link] of out.toString("latin1").matchAll(LINK)) {
        const enrolment = decodeEnrolment(link);
        if (enrolment.ok) learn(enrolment.value.secret);
      }
    }
    for (const { path } of files) if (path.endsWith("/tock.db")) learnStored(path, learn);
    if (secrets.size === 0) return [];
    const forms = [...secrets.values()].flatMap((secret, index) => formsOf(`secret ${index}`, secret));
    const found: string[] = [];
    const look = (where: string, bytes: Buffer): void => {
      const form = forms.find((each) => bytes.includes(each.bytes));
      if (form !== undefined) found.push(`${form.name}: ${where}`);
    };
    for (const { words, env, out, stderr } of ran) {
      if (OURS.test(words)) {
        look(`arguments of ${words}`, Buffer.from(words));
        look(`environment of ${words}`, Buffer.from(Object.values(env ?? {}).join("\n")));
      }
      if (!SHOWS.test(words)) look(`output of ${words}`, out);
      look(`errors of ${words}`, stderr());
    }
    for (const { where, bytes } of this.#seen) look(where, bytes);
    for (const { path, isPublic } of files) if (isPublic) look(path, read(path));
    return found;
  }
}

function learnStored(file: string, learn: (secret: Secret) => void): void {
  const store = DeviceStore.open(file.slice(0, -"/tock.db".length));
  // A test may have broken it on purpose.
  if (!store.ok) return;
  try {
    learn(store.value.identity.key);
    const all = store.value.loadAll();
    for (const device of all.ok ? all.value.devices : []) {
      for (const key of [device.current, device.next, ...device.retired]) if (key) learn(key.secret);
      const otp = store.value.otp.get(userOf(device.id));
      if (otp.ok && otp.value !== undefined) learn(otp.value.secret);
    }
  } finally {
    store.value.close();
  }
}

/** Every regular file below a folder, and whether others can read it: the file and all folders on the way to it. */
function filesBelow(
  folder: string,
  isReachable: boolean,
): { readonly path: string; readonly isPublic: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (!entry.isDirectory() && !entry.isFile()) return [];
      const stat = statSync(path);
      if (entry.isDirectory()) return filesBelow(path, isReachable && (stat.mode & 0o011) !== 0);
      return [{ path, isPublic: isReachable && stat.size <= MOST_FILE && (stat.mode & 0o044) !== 0 }];
    });
  } catch {
    // It went away meanwhile.
    return [];
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
