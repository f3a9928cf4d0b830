import { DatabaseSync } from "node:sqlite";
import dgram from "node:dgram";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/**
 * Loaded into `tock` by --import: counts what it does to files, locks and sockets, and kills it (SIGKILL) just before
 * the step numbered KILL_AT; a file that was to be written is then half-written.
 */
const at = Number(process.env["KILL_AT"] ?? 0);
let steps = 0;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

type Call = (...args: never[]) => unknown;

/** Counts the calls of a method, and dies at the one that was chosen. */
function watch<T extends object>(owner: T, name: keyof T & string, half?: (...args: never[]) => void): void {
  const original = owner[name] as Call;
  owner[name] = function (this: unknown, ...args: never[]) {
    if (++steps === at) {
      half?.(...args);
      die();
    }
    return original.apply(this, args);
  } as T[typeof name];
}

const { writeFileSync: write } = fs;
watch(fs, "writeFileSync", (fd: number, text: string) => write(fd, text.slice(0, text.length / 2)));
for (const name of ["mkdirSync", "openSync", "fsyncSync", "closeSync", "renameSync", "unlinkSync"] as const) {
  watch(fs, name);
}
watch(dgram.Socket.prototype, "send");
watch(dgram.Socket.prototype, "close");
watch(DatabaseSync.prototype, "exec");
watch(DatabaseSync.prototype, "close");
syncBuiltinESMExports();
