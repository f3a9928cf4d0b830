import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { TimeStep, UnixMillis } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { stepAt } from "../../shared/time-step.ts";
import { type Journal, openJournal } from "../../server/store/journal.ts";
import { flock } from "../../server/sys/libc.ts";
import { bytesFrom, NOW, SERVER_ID } from "./core.ts";

/** A folder that is gone when the test is over. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tock-journal-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A machine that can be booted anew, with a journal on its disk. */
export class Machine {
  readonly folder: string;
  readonly path: string;
  readonly bootIdPath: string;
  serverId = SERVER_ID;

  constructor(folder = scratchFolder()) {
    this.folder = folder;
    this.path = join(folder, "journal");
    this.bootIdPath = join(folder, "boot_id");
    this.boot("11111111-2222-3333-4444-555555555555");
  }

  boot(id: string): void {
    writeFileSync(this.bootIdPath, `${id}\n`);
  }

  open(now: UnixMillis = NOW, skew = { past: 1, future: 1 }) {
    const { path, bootIdPath, serverId } = this;
    return openJournal({ path, bootIdPath, serverId, skew, now, lock: (fd) => flock(fd) === 0 });
  }

  /** What a start finds: what it distrusts, the uses that it knows, and the steps around now that it refuses. */
  start(now: UnixMillis = NOW) {
    const journal = unwrap(this.open(now));
    const found = {
      distrust: journal.distrust,
      uses: journal.entries.length,
      refused: [-3, -2, -1, 0, 1, 2, 3].filter((by) => journal.spent.has(stepBy(by, now))),
    };
    journal.close();
    return found;
  }

  /** Runs a daemon for a while: opens the journal, does something, and ends as a crash would. */
  run<T>(work: (journal: Journal) => T, now: UnixMillis = NOW): T {
    const journal = unwrap(this.open(now));
    try {
      return work(journal);
    } finally {
      journal.close();
    }
  }
}

/** The step so many after the one of `now`. */
export function stepBy(by: number, now: UnixMillis = NOW): TimeStep {
  return (stepAt(now) + by) as TimeStep;
}

export function useOf(name: string, step = stepBy(0)) {
  return { step, id: bytesFrom(`use ${name}`, 32) };
}
