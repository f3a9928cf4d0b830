import type { Command as Parser } from "commander";
import { COMMON } from "../../client/args.ts";
import { COMMANDS } from "../../client/command-list.ts";
import { makeProgram } from "../../server/main.ts";

/** One command as shells know it: its words, and what may follow them. */
interface Entry {
  /** Such as `guard on`; empty for the program itself. */
  readonly words: string;
  readonly summary: string;
  readonly options: readonly { readonly name: string; readonly help: string }[];
}

/** Completion files by name, for bash, zsh and fish, made from what the programs themselves know of their commands. */
export async function completions(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const [program, entries] of [
    ["tock", await clientEntries()],
    ["tockd", serverEntries()],
  ] as const) {
    files[`${program}.bash`] = bash(program, entries);
    files[`_${program}`] = zsh(program, entries);
    files[`${program}.fish`] = fish(program, entries);
  }
  return files;
}

async function clientEntries(): Promise<Entry[]> {
  const loaded = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  return loaded.map(({ command: { name, summary, options } }) => ({
    words: name,
    summary,
    options: Object.entries({ ...options, ...COMMON }).map(([option, { help }]) => ({
      name: `--${option}`,
      help,
    })),
  }));
}

function serverEntries(): Entry[] {
  const entries: Entry[] = [];
  const walk = (command: Parser, words: readonly string[]): void => {
    const options = command.options.map(({ long, description }) => ({ name: long ?? "", help: description }));
    if (words.length > 0) entries.push({ words: words.join(" "), summary: command.description(), options });
    for (const child of command.commands) walk(child, [...words, child.name()]);
  };
  const ui = { out: () => undefined, note: () => undefined, columns: undefined, colour: false };
  const nothing = (): never => {
    throw new Error("completions run no command");
  };
  walk(
    makeProgram({
      ui,
      now: nothing,
      random: nothing,
      hostname: "localhost",
      person: undefined,
      exitWith: nothing,
    }),
    [],
  );
  return entries;
}

/** The words that may follow `words`, each with its summary. */
function children(entries: readonly Entry[], words: string): [string, string][] {
  const prefix = words === "" ? "" : `${words} `;
  return entries
    .filter((entry) => entry.words.startsWith(prefix) && !entry.words.slice(prefix.length).includes(" "))
    .map((entry) => [entry.words.slice(prefix.length), entry.summary]);
}

function bash(program: string, entries: readonly Entry[]): string {
  const cases = ["", ...entries.map(({ words }) => words)].map((words) => {
    const options = entries.find((entry) => entry.words === words)?.options.map(({ name }) => name) ?? [
      "--help",
      "--version",
    ];
    const next = children(entries, words).map(([word]) => word);
    return `    "${words}") words="${[...next, ...options].join(" ")}" ;;`;
  });
  return `# bash completion for ${program}
_${program}() {
  local current=\${COMP_WORDS[COMP_CWORD]} path="" words="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      -*) ;;
      *) case " ${entries.map(({ words }) => words.replaceAll(" ", "_")).join(" ")} " in
        *" \${path:+\${path// /_}_}\${COMP_WORDS[index]} "*) path="\${path:+$path }\${COMP_WORDS[index]}" ;;
      esac ;;
    esac
  done
  case $path in
${cases.join("\n")}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _${program} ${program}
`;
}

function zsh(program: string, entries: readonly Entry[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "’").replaceAll(":", "\\:")}'`;
  const cases = ["", ...entries.map(({ words }) => words)].map((words) => {
    const next = children(entries, words).map(
      ([word, summary]) => quoted(word).slice(0, -1) + `:${quoted(summary).slice(1)}`,
    );
    const options = (entries.find((entry) => entry.words === words)?.options ?? []).map(
      ({ name, help }) => quoted(name).slice(0, -1) + `:${quoted(help).slice(1)}`,
    );
    return `    ('${words}') candidates=(${[...next, ...options].join(" ")}) ;;`;
  });
  return `#compdef ${program}
_${program}() {
  local -a candidates known
  local at="" word
  known=(${entries.map(({ words }) => `'${words}'`).join(" ")})
  for word in \${words[2,CURRENT-1]}; do
    (( \${known[(Ie)\${at:+$at }$word]} )) && at="\${at:+$at }$word"
  done
  case $at in
${cases.join("\n")}
  esac
  _describe ${program} candidates || _files
}
_${program} "$@"
`;
}

function fish(program: string, entries: readonly Entry[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = [`# fish completion for ${program}`];
  for (const { words, summary, options } of entries) {
    const parts = words.split(" ");
    const parents = parts.slice(0, -1);
    const siblings = children(entries, parents.join(" ")).map(([word]) => word);
    const condition = [
      ...(parents.length === 0
        ? ["__fish_use_subcommand"]
        : parents.map((word) => `__fish_seen_subcommand_from ${word}`)),
      ...(parents.length === 0 ? [] : [`not __fish_seen_subcommand_from ${siblings.join(" ")}`]),
    ].join("; and ");
    lines.push(`complete -c ${program} -f -n ${quoted(condition)} -a ${parts.at(-1)} -d ${quoted(summary)}`);
    const seen = quoted(parts.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and "));
    for (const { name, help } of options) {
      lines.push(`complete -c ${program} -n ${seen} -l ${name.replace(/^--/, "")} -d ${quoted(help)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
