import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DatabaseSync, StatementSync } from "node:sqlite";

/**
 * Loaded into `tockd` by --import: once the file TOCK_KILL_FILE is there, and holds a number, the daemon is killed
 * (SIGKILL) at that many calls to its store or its journal from then on.
 */
const file = process.env["TOCK_KILL_FILE"] ?? "";
const { existsSync, readFileSync, unlinkSync } = fs;
let left: number | undefined;

function count(): void {
  if (left === undefined && existsSync(file)) left = Number(readFileSync(file, "utf8"));
  if (left === undefined || --left > 0) return;
  unlinkSync(file);
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

type Call = (...args: never[]) => unknown;

function watch<T extends object>(owner: T, name: keyof T & string): void {
  const original = owner[name] as Call;
  owner[name] = function (this: unknown, ...args: never[]) {
    count();
    return original.apply(this, args);
  } as T[typeof name];
}

watch(DatabaseSync.prototype, "exec");
for (const name of ["run", "get", "all", "iterate"] as const) watch(StatementSync.prototype, name);
watch(fs, "writeSync");
syncBuiltinESMExports();
