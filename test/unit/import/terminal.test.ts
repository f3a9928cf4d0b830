import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { beforeEach, describe, expect, test } from "vitest";
import { type Ran, scratch, tockd } from "../../support/tockd.ts";

/** What somebody else wrote into a file, or called it, reaches neither the terminal's controls nor the configuration. */

const OPEN = "sequence = 7000,8000,9000\ncommand = iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n";
const CONTROLS = "\u001b[31m\u0007\u009b2J\u202e";
/** Whatever a terminal acts upon, but for the ends of lines. */
const ACTED_UPON = /(?!\n)\p{C}/u;

let folder: string;
beforeEach(() => {
  folder = scratch();
});

function imported(text: string, name = "knockd.conf", ...more: string[]): Promise<Ran> {
  const file = join(folder, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text);
  return tockd(["import", "knockd", file, ...more]);
}

describe("tockd import", () => {
  test.each([
    ["a door's name", `[a${CONTROLS}]\n${OPEN}`],
    ["a door that is there twice", `[a${CONTROLS}]\n${OPEN}[a${CONTROLS}]\n${OPEN}`],
    ["a sequence", `[a]\nsequence = 1${CONTROLS}\n`],
    ["programs", `[a]\nsequence = 1\ncommand = /x${CONTROLS} 1\n[b]\nsequence = 1\ncommand = /y 1\n`],
  ])("shows the control characters of %s as text", async (_, text) => {
    const { out, note } = await imported(text);
    expect(note).not.toBe("");
    expect(note).not.toMatch(ACTED_UPON);
    expect(out).not.toMatch(ACTED_UPON);
  });

  test("a line break in the file's name begins no line of the configuration", async () => {
    const { out } = await imported(`[a]\n${OPEN}`, "x\n[hooks]\non_grant = ['evil']\n#");
    expect(parse(out)).not.toHaveProperty("hooks");
    expect(out).toContain("\\n[hooks]");
  });

  test("nor is one of a file that is not there, or is wrong, shown as one", async () => {
    const missing = await tockd(["import", "knockd", join(folder, `x\n${CONTROLS}`)]);
    expect(missing.note).toContain("\\n");
    expect(missing.note).not.toMatch(ACTED_UPON);
    const wrong = await imported("nothing\n", `y\n${CONTROLS}`);
    expect(wrong.note).toContain("\\n");
    expect(wrong.note).not.toMatch(ACTED_UPON);
  });

  test("a user's name is a name", async () => {
    const { out, note, code } = await imported(`[a]\n${OPEN}`, "k.conf", "--user", "x\n[hooks]");
    expect({ out, code }).toEqual({ out: "", code: 2 });
    expect(note).toContain("--user: expected");
  });

  test("says so where services leave no range for knocks", async () => {
    const all = `[a]\nsequence = 7000,8000\ncommand = iptables -A INPUT -s %IP% -p tcp -j ACCEPT\n`;
    const open = all.replace("tcp -j", "tcp --dport 1:65535 -j");
    const { out, note } = await imported(open);
    expect(note).toContain("no range is left for knock sequences");
    expect(out).toContain("# [knock] no range is left for knock sequences");
    const usual = await imported(`[a]\n${OPEN}`);
    expect(usual.note).not.toContain("no range");
  });
});
