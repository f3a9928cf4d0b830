import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { completions } from "../../scripts/package/completions.ts";
import { COMMANDS } from "../../client/command-list.ts";

/** What each shell offers, asked of the shell itself. */

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tock-completions-"));
  for (const [file, text] of Object.entries(await completions())) writeFileSync(join(folder, file), text);
});
afterAll(() => rmSync(folder, { recursive: true }));

const shell = (program: string, script: string): string[] =>
  execFileSync(program, ["-c", script], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: folder },
    timeout: 20_000,
  })
    .split("\n")
    .filter(Boolean);

/** The words offered for the last word of a line. */
const ASK: Record<string, (words: readonly string[]) => string[]> = {
  bash: (words) =>
    shell(
      "bash",
      `set -e; . ${folder}/${words[0]}.bash; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
       COMP_CWORD=${words.length - 1}; _${words[0]}; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ),
  // The completion system needs a line editor; what the function hands to it is what is looked at.
  zsh: (words) =>
    shell(
      "zsh",
      `_describe() { print -l -- "\${(@P)2%%:*}" }; words=(${words.map((word) => `'${word}'`).join(" ")})
       CURRENT=${words.length}; source ${folder}/_${words[0]}`,
    ).filter((word) => word.startsWith(words.at(-1) ?? "")),
  fish: (words) =>
    shell("fish", `source ${folder}/${words[0]}.fish; complete -C '${words.join(" ")}'`).map(
      (line) => line.split("\t")[0] ?? "",
    ),
};

describe.each(Object.keys(ASK))("%s", (name) => {
  const offered = (...words: string[]): string[] => (ASK[name]?.(words) ?? []).toSorted();

  test("offers the commands", () => {
    expect(offered("tock", "")).toEqual(expect.arrayContaining(Object.keys(COMMANDS)));
    expect(offered("tockd", "gu")).toEqual(["guard"]);
  });

  test("offers the words below a command", () => {
    expect(offered("tockd", "guard", "o")).toEqual(["off", "on"]);
    expect(offered("tockd", "device", "a")).toEqual(["add"]);
  });

  test("offers a command's own options, and not another's", () => {
    expect(offered("tockd", "guard", "on", "--c")).toEqual(["--confirm"]);
    expect(offered("tockd", "grant", "--f")).toEqual(["--for"]);
    expect(offered("tockd", "guard", "off", "--c")).not.toContain("--confirm");
    expect(offered("tock", "open", "--f")).toContain("--for");
  });
});
