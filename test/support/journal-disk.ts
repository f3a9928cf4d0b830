import { execFileSync } from "node:child_process";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { unwrap } from "../../shared/result.ts";
import { stepAt } from "../../shared/time-step.ts";
import { initialiseJournal, openJournal } from "../../server/store/journal.ts";
import { flock } from "../../server/sys/libc.ts";
import { address, bytesFrom, NOW, SERVER_ID } from "./core.ts";

/** Uses a journal in a folder whose disk is small, and says on standard output what came of each step, as JSON. */
const [folder = ""] = process.argv.slice(2);
const path = `${folder}/journal`;
const said: Record<string, unknown> = {};
const open = () =>
  openJournal({
    path,
    serverId: SERVER_ID,
    skew: { past: 1, future: 1 },
    now: NOW,
    lock: (fd) => flock(fd) === 0,
  });
const errorOf = (result: { ok: boolean; error?: Error }): string | undefined => result.error?.message;
const use = (n: number) => ({ step: stepAt(NOW), id: bytesFrom(`use ${n}`, 32) });

/** Takes all the room there is but for some bytes. */
function fill(leave: number): void {
  const fat = `${folder}/fat`;
  for (let size = 1 << 20; size >= 512; size /= 2) {
    try {
      for (;;) writeFileSync(fat, Buffer.alloc(size), { flag: "a" });
    } catch {
      // The next smaller size fits perhaps.
    }
  }
  writeFileSync(fat, Buffer.alloc(Math.max(0, statSync(fat).size - leave)));
}

unwrap(initialiseJournal(path, SERVER_ID));
let journal = unwrap(open());
for (let n = 0; n < 1024; n++) unwrap(journal.append(use(n), address("192.0.2.1")));
const size = statSync(path).size;

// Some of the room that the journal wants: the write is cut short.
fill(12_288);
said["full"] = errorOf(journal.append(use(1024), undefined));
said["again"] = errorOf(journal.append(use(1024), undefined));
said["grown"] = statSync(path).size - size;
said["forget"] = errorOf(journal.forget(stepAt(NOW), stepAt(NOW)));

journal.close();
journal = unwrap(open());
said["restarted"] = journal.distrust ?? journal.entries.length;

rmSync(`${folder}/fat`);
said["room"] = errorOf(journal.append(use(1024), undefined));
journal.close();
const next = unwrap(open());
said["entries"] = next.entries.length;
said["distrust"] = next.distrust ?? null;
next.close();

// Slots whose room is gone from the disk: the write of a use itself fails, and the slot stays free.
const big = statSync(path).size;
journal = unwrap(open());
execFileSync("fallocate", ["--punch-hole", "--offset", "126976", "--length", `${big - 126_976}`, path]);
fill(0);
let taken = 0;
const take = (): string | undefined => {
  const error = errorOf(journal.append(use(5000 + taken), undefined));
  if (error === undefined) taken++;
  return error;
};
let error = take();
for (let tries = 0; error === undefined && tries < 500; tries++) error = take();
said["slot"] = [error, take(), take()];
rmSync(`${folder}/fat`);
while (statSync(path).size === big) said["slots"] = take() ?? taken;
journal.close();

rmSync(path);
fill(0);
said["no-new"] = errorOf(open());
said["left"] = existsSync(path);
rmSync(`${folder}/fat`);
const fresh = open();
said["new"] = fresh.ok && fresh.value.distrust;
process.stdout.write(JSON.stringify(said));
