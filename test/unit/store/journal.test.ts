import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { describe, expect, test, vi } from "vitest";
import { hex } from "../../../shared/bytes.ts";
import { unwrap } from "../../../shared/result.ts";
import { MAX_SPENT } from "../../../server/core/spent-steps.ts";
import { decodeHeader, encodeHeader, HEADER } from "../../../server/store/journal-file.ts";
import { initialiseJournal } from "../../../server/store/journal.ts";
import { address, bytesFrom, later, NOW, SERVER_ID } from "../../support/core.ts";
import { Machine, stepBy, useOf } from "../../support/journal.ts";

const here = address("192.0.2.1");
const there = address("2001:db8::1");

/** A machine on which a daemon has run, and used one packet in this step. */
function usedMachine(): Machine {
  const machine = new Machine();
  unwrap(initialiseJournal(machine.path, SERVER_ID));
  machine.run((journal) => unwrap(journal.append(useOf("a"), here)));
  return machine;
}

describe("a new server's journal", () => {
  test("is trusted by the first daemon, which refuses nothing", () => {
    const machine = new Machine();
    unwrap(initialiseJournal(machine.path, SERVER_ID));
    expect(machine.start()).toEqual({ distrust: undefined, uses: 0, refused: [] });
  });

  test("is its owner's alone", () => {
    const machine = new Machine();
    unwrap(initialiseJournal(machine.path, SERVER_ID));
    expect(statSync(machine.path).mode & 0o7777).toBe(0o600);
  });

  test.runIf(process.geteuid?.() === 0)("made or replaced by root, is the folder's owner's", () => {
    const machine = new Machine();
    chownSync(machine.folder, 12_345, 12_346);
    const owner = () => [statSync(machine.path).uid, statSync(machine.path).gid];
    unwrap(initialiseJournal(machine.path, SERVER_ID));
    expect(owner()).toEqual([12_345, 12_346]);
    truncateSync(machine.path, 100);
    expect(machine.start().distrust).toBe("damaged");
    expect(owner()).toEqual([12_345, 12_346]);
  });

  test("is never made over another", () => {
    const machine = usedMachine();
    const again = initialiseJournal(machine.path, SERVER_ID);
    expect(again).toMatchObject({ ok: false, error: { code: "exists" } });
    expect(machine.start().uses).toBe(1);
  });

  test("may be made in one boot and first used in another", () => {
    const machine = new Machine();
    unwrap(initialiseJournal(machine.path, SERVER_ID));
    machine.boot("99999999-2222-3333-4444-555555555555");
    expect(machine.start().distrust).toBeUndefined();
    machine.boot("11111111-2222-3333-4444-555555555555");
    expect(machine.start().distrust).toBe("reboot");
  });

  test("nothing is left of a folder that cannot be written to but the reason", () => {
    const machine = new Machine();
    const made = initialiseJournal(`${machine.folder}/missing/journal`, SERVER_ID);
    expect(made).toMatchObject({
      ok: false,
      error: { code: "io", message: `journal: cannot make ${machine.folder}/missing/journal: ENOENT` },
    });
  });
});

describe("what was used is known at the next start", () => {
  test("with its step and where it came from", () => {
    const machine = usedMachine();
    machine.run((journal) => {
      unwrap(journal.append(useOf("b", stepBy(1)), there));
      unwrap(journal.append(useOf("c", stepBy(-1)), undefined));
    });
    machine.run((journal) => {
      expect(journal.distrust).toBeUndefined();
      const entries = journal.entries
        .map(({ step, id, source }) => [step, hex(id), source?.text].join(" "))
        .sort();
      const expected = [
        [stepBy(0), hex(useOf("a").id), here.text],
        [stepBy(1), hex(useOf("b").id), there.text],
        [stepBy(-1), hex(useOf("c").id), undefined],
      ].map((parts) => parts.join(" "));
      expect(entries).toEqual(expected.sort());
    });
  });

  test("however many, in a file that grows", () => {
    const machine = usedMachine();
    machine.run((journal) => {
      for (let n = 0; n < 3000; n++) unwrap(journal.append(useOf(`${n}`), here));
    });
    expect(statSync(machine.path).size).toBe(128 + 64 * 3072);
    expect(machine.start()).toEqual({ distrust: undefined, uses: 3001, refused: [] });
  });

  test("even when the process is killed in the middle of writing more", async () => {
    const machine = usedMachine();
    const { path, bootIdPath } = machine;
    const writer = fileURLToPath(new URL("../../support/journal-writer.ts", import.meta.url));
    for (let round = 1; round <= 4; round++) {
      const child = spawn(process.execPath, [writer, path, bootIdPath, `${round}`], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const written = readLines(child.stdout);
      await vi.waitFor(() => expect(written().length).toBeGreaterThan(200 * round), {
        interval: 1,
        timeout: 10_000,
      });
      child.kill("SIGKILL");
      await once(child, "close");
      machine.run((journal) => {
        expect(journal.distrust).toBeUndefined();
        const known = new Set(journal.entries.map(({ id }) => hex(id)));
        const lost = written().filter((name) => !known.has(hex(useOf(name).id)));
        expect(lost).toEqual([]);
      });
    }
  });
});

describe("what is forgotten is spent", () => {
  test("old steps are refused from then on, and their room is used again", () => {
    const machine = usedMachine();
    machine.run((journal) => {
      for (let step = 0; step < 50; step++) {
        for (let n = 0; n < 100; n++) unwrap(journal.append(useOf(`${step} ${n}`, stepBy(step)), here));
        unwrap(journal.forget(stepBy(step - 1), stepBy(step + 1)));
      }
      expect(journal.spent.has(stepBy(0))).toBe(true);
      expect(journal.spent.has(stepBy(47))).toBe(true);
      expect(journal.spent.has(stepBy(48))).toBe(false);
    });
    expect(statSync(machine.path).size).toBe(128 + 64 * 1024);
    machine.run((journal) => {
      expect(journal.distrust).toBeUndefined();
      expect(journal.entries).toHaveLength(200);
      for (let step = 0; step < 48; step++) expect(journal.spent.has(stepBy(step))).toBe(true);
      for (let step = 48; step < 60; step++) expect(journal.spent.has(stepBy(step))).toBe(false);
    });
  });

  test("more spent steps than are kept become a floor, which stays", () => {
    const machine = usedMachine();
    machine.run((journal) => {
      for (let n = 0; n < MAX_SPENT + 20; n++) {
        unwrap(journal.append(useOf(`${n}`, stepBy(2 * n)), here));
        unwrap(journal.forget(stepBy(2 * n + 2), stepBy(2 * n + 4)));
      }
    });
    machine.run((journal) => {
      expect(journal.spent.floor).toBe(stepBy(38));
      expect(journal.spent.single.size).toBe(MAX_SPENT);
      expect(journal.entries).toEqual([]);
      // The room of what went is used again: only the header can know.
      for (let n = 0; n < 1024; n++) unwrap(journal.append(useOf(`more ${n}`, stepBy(9999)), here));
    });
    machine.run((journal) => expect(journal.spent.floor).toBe(stepBy(38)));
    expect(statSync(machine.path).size).toBe(128 + 64 * 2048);
  });

  test("a clock set back finds them refused, also after a restart", () => {
    const machine = usedMachine();
    machine.run((journal) => unwrap(journal.forget(stepBy(120), stepBy(122))));
    expect(machine.start(NOW).refused).toEqual([0]);
    expect(machine.start(later(NOW, 30_000)).refused).toEqual([-1]);
  });
});

describe("a journal that cannot be trusted refuses all that could have been accepted", () => {
  const refusing = (distrust: string) => ({ distrust, uses: 0, refused: [-3, -2, -1, 0, 1] });
  const change = (bytes: Buffer, at: number): Buffer => {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
  const edit = (machine: Machine, edited: (bytes: Buffer) => Buffer) =>
    writeFileSync(machine.path, edited(readFileSync(machine.path)));

  test.each<[string, string, (machine: Machine) => unknown]>([
    ["missing", "removed", ({ path }) => rmSync(path)],
    ["reboot", "another boot", (machine) => machine.boot("99999999-2222-3333-4444-555555555555")],
    ["reboot", "no boot id to read", ({ bootIdPath }) => rmSync(bootIdPath)],
    ["reboot", "a boot id of another form", ({ bootIdPath }) => writeFileSync(bootIdPath, "no boot id")],
    ["foreign", "another server's", (machine) => (machine.serverId = bytesFrom("other server", 16))],
    ["damaged", "emptied", ({ path }) => truncateSync(path)],
    ["damaged", "one byte shorter", ({ path }) => truncateSync(path, statSync(path).size - 1)],
    ["damaged", "one slot shorter", ({ path }) => truncateSync(path, statSync(path).size - 64)],
    ["damaged", "cut after the header", ({ path }) => truncateSync(path, 128)],
    ["damaged", "one slot longer", ({ path }) => truncateSync(path, statSync(path).size + 64)],
    ["damaged", "all zero", (machine) => edit(machine, (bytes) => bytes.fill(0))],
    ["damaged", "all slots zero", (machine) => edit(machine, (bytes) => bytes.fill(0, 128))],
    ["damaged", "one slot zero", (machine) => edit(machine, (bytes) => bytes.fill(0, 128, 192))],
    ["damaged", "a bit of the header", (machine) => edit(machine, (bytes) => change(bytes, 20))],
    ["damaged", "the last bit", (machine) => edit(machine, (bytes) => change(bytes, bytes.length - 1))],
    [
      "damaged",
      "a slot again at the end",
      (machine) => edit(machine, (bytes) => Buffer.concat([bytes, bytes.subarray(-64)])),
    ],
    [
      "damaged",
      "a slot in another's place",
      (machine) =>
        edit(machine, (b) => Buffer.concat([b.subarray(0, 128), b.subarray(192, 256), b.subarray(192)])),
    ],
    [
      "copied",
      "a copy in its place",
      ({ path }) => {
        copyFileSync(path, `${path}.copy`);
        renameSync(`${path}.copy`, path);
      },
    ],
    [
      "unreadable",
      "a link in its place",
      ({ path, folder }) => {
        renameSync(path, `${folder}/elsewhere`);
        symlinkSync(`${folder}/elsewhere`, path);
      },
    ],
  ])("%s: %s", (reason, _, spoil) => {
    const machine = usedMachine();
    spoil(machine);
    expect(machine.start()).toEqual(refusing(reason));
    // It says so once; the new journal is trusted, and refuses the same.
    const { distrust, refused } = machine.start();
    expect({ distrust: distrust === "reboot" ? undefined : distrust, refused }).toEqual({
      distrust: undefined,
      refused: [-3, -2, -1, 0, 1],
    });
    expect(readdirSync(machine.folder).filter((name) => /^journal\../.test(name))).toEqual([]);
  });

  test("and takes packets again in the step after", () => {
    const machine = usedMachine();
    rmSync(machine.path);
    machine.run((journal) => {
      expect(journal.refusingUntil).toBe(later(NOW, 50_000));
      expect(journal.spent.has(stepBy(2))).toBe(false);
      unwrap(journal.append(useOf("later", stepBy(2)), here));
    });
    expect(machine.start(later(NOW, 60_000)).uses).toBe(1);
  });

  test("as wide as the window is configured", () => {
    const machine = usedMachine();
    rmSync(machine.path);
    const journal = unwrap(machine.open(NOW, { past: 2, future: 4 }));
    expect(journal.spent.has(stepBy(4))).toBe(true);
    expect(journal.spent.has(stepBy(5))).toBe(false);
    journal.close();
  });

  test("what was spent or used stays so through a reboot", () => {
    const machine = usedMachine();
    machine.run((journal) => {
      unwrap(journal.forget(stepBy(100), stepBy(102)));
      unwrap(journal.append(useOf("ahead", stepBy(101)), here));
    });
    machine.boot("99999999-2222-3333-4444-555555555555");
    machine.run((journal) => {
      expect(journal.distrust).toBe("reboot");
      expect(journal.spent.single).toEqual(new Set([stepBy(0), stepBy(101)]));
    });
  });

  test("a lost journal stays lost when the clock is set back: who knows what was used then", () => {
    const machine = usedMachine();
    rmSync(machine.path);
    machine.run((journal) => unwrap(journal.forget(stepBy(-121), stepBy(-119))));
    expect(machine.start(later(NOW, -3600_000)).refused).toEqual([-3, -2, -1, 0, 1, 2, 3]);
  });

  test("one that says it is new but holds uses was put there by somebody", () => {
    const machine = usedMachine();
    edit(machine, (bytes) => {
      const header = decodeHeader(bytes.subarray(0, HEADER));
      if (header === undefined) throw new Error("no header");
      return Buffer.concat([encodeHeader({ ...header, bootId: undefined }), bytes.subarray(HEADER)]);
    });
    expect(machine.start()).toEqual(refusing("damaged"));
  });

  test("a machine that starts hours ahead is not locked until then: the doubt follows the clock", () => {
    const machine = usedMachine();
    machine.boot("99999999-2222-3333-4444-555555555555");
    const ahead = later(NOW, 5 * 3600_000);
    machine.run((journal) => {
      expect(journal.spent.has(stepBy(0))).toBe(true);
      expect(journal.spent.has(stepBy(3))).toBe(true);
      unwrap(journal.forget(stepBy(1), stepBy(3)));
      // Set right: the window is 1 to 3, as it would be after any start at this time.
      expect([0, 1, 2, 3, 4].map((by) => journal.spent.has(stepBy(by)))).toEqual([
        true,
        true,
        true,
        true,
        false,
      ]);
    }, ahead);
    expect(machine.start(later(NOW, 60_000)).refused).toEqual([-3, -2, -1, 0, 1]);
  });

  test("nor does one stay locked that starts again with a right clock", () => {
    const machine = usedMachine();
    machine.boot("99999999-2222-3333-4444-555555555555");
    expect(machine.start(later(NOW, 5 * 3600_000)).distrust).toBe("reboot");
    machine.boot("88888888-2222-3333-4444-555555555555");
    expect(machine.start(later(NOW, 600_000)).refused).toEqual([-3, -2, -1, 0, 1]);
  });

  test("where no new one can be made, opening fails and says why", () => {
    const machine = new Machine();
    mkdirSync(machine.path);
    const opened = machine.open();
    expect(opened).toMatchObject({ ok: false, error: { code: "io" } });
    expect(!opened.ok && opened.error.message).toMatch(
      /^journal: .* is unreadable, and no new one can be made: E/,
    );
    expect(!opened.ok && opened.error.hint).toBeDefined();
    expect(readdirSync(machine.folder).sort()).toEqual(["boot_id", "journal"]);
  });
});

describe("a journal belongs to one daemon", () => {
  test("a second one is told so, and changes nothing", () => {
    const machine = usedMachine();
    machine.run((journal) => {
      const second = machine.open();
      expect(second).toMatchObject({
        ok: false,
        error: { code: "io", message: `journal: ${machine.path} is in use by another process` },
      });
      unwrap(journal.append(useOf("b"), here));
    });
    expect(machine.start().uses).toBe(2);
  });

  test("also when the first has just replaced what it could not trust", () => {
    const machine = usedMachine();
    truncateSync(machine.path, 100);
    machine.run(() => expect(machine.open()).toMatchObject({ ok: false }));
  });

  test("taken away or replaced while the daemon runs, it is not trusted by the next", () => {
    const machine = usedMachine();
    const old = readFileSync(machine.path);
    machine.run((journal) => {
      rmSync(machine.path);
      writeFileSync(machine.path, old, { mode: 0o600 });
      unwrap(journal.append(useOf("b"), here));
    });
    expect(machine.start().distrust).toBe("copied");
  });

  test("with a mode that lets nobody read it, it is read by root and replaced by others", () => {
    const machine = usedMachine();
    chmodSync(machine.path, 0);
    expect(machine.start().distrust).toBe(process.getuid?.() === 0 ? undefined : "unreadable");
  });
});

/** Whole lines, as they come. */
function readLines(stream: Readable): () => string[] {
  let text = "";
  stream.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  return () => text.split("\n").slice(0, -1);
}
