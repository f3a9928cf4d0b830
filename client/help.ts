import { COMMON, type Options } from "./args.ts";
import type { Command } from "./command.ts";

/** The pages of `--help`. */

const EXIT_CODES = `Exit codes:
  0  opened, or done
  1  failed or refused; standard error says why
  2  the command line is wrong
  3  sent, and nothing confirmed it`;

export function commandHelp(command: Command): string {
  const words = [...command.words, ...(command.rest === undefined ? [] : [command.rest])].join(" ");
  const sections = [
    `tock ${command.name}: ${command.summary}`,
    `Usage:\n  tock ${command.name} [options] ${words}`.trimEnd(),
    `Options:\n${optionLines({ ...command.options, ...COMMON })}`,
    ...(command.notes ?? []).map(wrap),
    `Examples:\n${columns(command.examples)}`,
    EXIT_CODES,
  ];
  return sections.join("\n\n");
}

export function programHelp(commands: readonly Command[]): string {
  const sections = [
    "tock: open a port that does not exist until the right device asks",
    "Usage:\n  tock <command> [options] …",
    `Commands:\n${columns(commands.map(({ name, summary }) => [name, summary] as const))}`,
    `Examples:\n${columns([
      ["tock enroll -", "take an enrolment link from standard input"],
      ["tock open myserver", "open the service of that server"],
      ["tock ssh myserver", "open, and log in"],
      ["tock ssh-config myserver >> ~/.ssh/config", "from then on plain ssh, scp and git open by themselves"],
    ])}`,
    "tock <command> --help tells more about one command; tock --version prints the version.",
    `Profiles are kept in TOCK_HOME, or in the configuration folder of the platform.`,
    EXIT_CODES,
  ];
  return sections.join("\n\n");
}

const WIDTH = 100;

/** A paragraph in lines of at most 100 characters; breaks that it has already do not count. */
function wrap(paragraph: string): string {
  let line = "";
  const lines: string[] = [];
  for (const word of paragraph.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > WIDTH) lines.push(line);
    line = line === "" || line.length + 1 + word.length > WIDTH ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

function optionLines(options: Options): string {
  return columns(
    Object.entries(options).map(([name, { short, value, help }]) => {
      const names = short === undefined ? `--${name}` : `-${short}, --${name}`;
      return [value === undefined ? names : `${names} <${value}>`, help] as const;
    }),
  );
}

/** Two columns, the left one as wide as its longest text of at most 36 characters. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length).filter((length) => length <= 36), 0);
  return rows
    .map(([left, right]) =>
      left.length > width
        ? `  ${left}\n  ${" ".repeat(width)}  ${right}`
        : `  ${left.padEnd(width)}  ${right}`,
    )
    .join("\n");
}
