import { writeSync } from "node:fs";
import { unwrap } from "../../shared/result.ts";
import { bytesFrom, NOW, SERVER_ID } from "./core.ts";
import { stepAt } from "../../shared/time-step.ts";
import { openJournal } from "../../server/store/journal.ts";
import { flock } from "../../server/sys/libc.ts";

/** Writes uses into a journal, and the name of each to standard output once it is written, until it is killed. */
const [path = "", bootIdPath = "", round = ""] = process.argv.slice(2);
const options = { path, bootIdPath, serverId: SERVER_ID, skew: { past: 1, future: 1 }, now: NOW };
const journal = unwrap(openJournal({ ...options, lock: (fd) => flock(fd) === 0 }));
for (let n = 0; n < 100_000; n++) {
  const name = `${round}-${n}`;
  unwrap(journal.append({ step: stepAt(NOW), id: bytesFrom(`use ${name}`, 32) }, undefined));
  writeSync(1, `${name}\n`);
}
