import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "./exec.ts";
import type { Host } from "./host.ts";

const SOURCE = fileURLToPath(new URL("bad-machine.c", import.meta.url));
/** In the order of the C struct. */
const FIELDS = ["write", "sync", "send", "recv", "left", "ahead", "hits"] as const;
type Field = (typeof FIELDS)[number];

/** What goes wrong: the name of an errno, or for writes half of it ("short"), or half of it and then EIO ("torn"). */
export interface Faults {
  readonly write?: "EIO" | "ENOSPC" | "short" | "torn";
  readonly sync?: "EIO";
  readonly send?: "EPERM" | "ENOBUFS";
  readonly recv?: "ENOBUFS";
  /** How many calls go wrong; without it all do. */
  readonly times?: number;
}

/** A machine whose disk, netlink sockets and clock go wrong when a test says so: see bad-machine.c. */
export class BadMachine {
  readonly env: Readonly<Record<string, string>>;
  readonly #control: string;
  readonly #disk: string;
  readonly #state: string;
  readonly #boot: string;

  private constructor(host: Host, library: string) {
    this.#control = host.path("machine");
    this.#disk = host.path("machine-disk");
    this.#boot = host.path("machine-boot");
    this.#state = host.path("state");
    this.env = {
      LD_PRELOAD: library,
      TOCK_MACHINE: this.#control,
      TOCK_MACHINE_STATE: this.#state,
      TOCK_MACHINE_DISK: this.#disk,
      TOCK_MACHINE_BOOT: this.#boot,
    };
    writeFileSync(this.#control, Buffer.alloc(4096));
    mkdirSync(this.#disk, { mode: 0o700 });
    this.reboot();
  }

  static async create(host: Host): Promise<BadMachine> {
    const library = host.path("bad-machine.so");
    await must(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE]);
    return new BadMachine(host, library);
  }

  /** From now on this goes wrong, and nothing else. */
  break({ write, sync, send, recv, times = -1 }: Faults): void {
    const codeOf = (name: string): number => constants.errno[name as "EIO"];
    this.#set("left", 0);
    this.#set(
      "write",
      write === "short" ? -1 : write === "torn" ? -2 : write === undefined ? 0 : codeOf(write),
    );
    this.#set("sync", sync === undefined ? 0 : codeOf(sync));
    this.#set("send", send === undefined ? 0 : codeOf(send));
    this.#set("recv", recv === undefined ? 0 : codeOf(recv));
    this.#set("hits", 0);
    this.#set("left", times);
  }

  /** Nothing goes wrong any more. Gives how many calls did. */
  mend(): number {
    const hits = this.#get("hits");
    this.break({ times: 0 });
    return hits;
  }

  /** How far the clock of the day is ahead, in ms. */
  get ahead(): number {
    return this.#get("ahead");
  }

  set ahead(millis: number) {
    this.#set("ahead", millis);
  }

  /** The time of the day there, in unix ms. */
  get now(): number {
    return Date.now() + this.ahead;
  }

  /** Another boot of the kernel, as far as processes that start from now on can see. */
  reboot(): void {
    writeFileSync(this.#boot, `${randomUUID()}\n`);
  }

  /** The power goes: what was not synced is lost. Every process must have ended. Gives the names of the files that changed. */
  losePower(): string[] {
    const lost: string[] = [];
    const kept = new Map<string, string>();
    for (const line of readFileSync(join(this.#disk, "names"), "utf8").trim().split("\n")) {
      const [inode = "", name = ""] = line.split(" ");
      kept.set(name, join(this.#disk, `inode-${inode}`));
    }
    for (const name of readdirSync(this.#state)) {
      if (kept.has(name) || !statSync(join(this.#state, name)).isFile()) continue;
      rmSync(join(this.#state, name));
      lost.push(name);
    }
    for (const [name, copy] of kept) {
      const file = join(this.#state, name);
      const [before, after] = [contents(file), contents(copy) ?? Buffer.alloc(0)];
      if (before?.equals(after) === true) continue;
      // In place: the file is the same one as before.
      writeFileSync(file, after, { mode: 0o600 });
      lost.push(name);
    }
    this.reboot();
    return lost;
  }

  #get(field: Field): number {
    return Number(readFileSync(this.#control).readBigInt64LE(8 * FIELDS.indexOf(field)));
  }

  #set(field: Field, value: number): void {
    const bytes = readFileSync(this.#control);
    bytes.writeBigInt64LE(BigInt(Math.round(value)), 8 * FIELDS.indexOf(field));
    writeFileSync(this.#control, bytes, { flag: "r+" });
  }
}

function contents(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
