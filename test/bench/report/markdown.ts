import type { Group, Row } from "../lib/result.ts";
import { goalsOf } from "./goals.ts";
import { number } from "./svg.ts";

/** What one run gave, as `main.ts` writes it. */
export interface Run {
  readonly machine: Readonly<Record<string, string>>;
  readonly quick: boolean;
  readonly groups: readonly Group[];
}

const TITLES: Readonly<Record<Group["id"], string>> = {
  knock: "1. Knock to open",
  junk: "2. Junk",
  opens: "3. Authentic packets",
  growth: "4. Growth",
  client: "5. The client",
  standing: "6. Standing cost",
};

const METHOD = `\`npm run bench\` takes every figure here: it installs what it needs (Debian's fwknop-server, fwknop-client and knockd
beside the rest), builds the programs, makes its own network namespaces, and removes them. \`-- --only knock,opens\` takes some
groups, \`-- --quick\` proves that all of it runs. The programs are those of \`npm run build\`, each with what its configuration says
when nobody changes it. All contestants run at the same time on the same hosts and take turns, trial by trial, so that what
else the machine does troubles all alike. Senders and stop-watches are small C programs (\`test/bench/c\`).

Medians are what to compare, and ratios within a run; the machine is a virtual one with two cores that it shares with others, so its
99th percentiles are mostly its own. Times are in milliseconds unless a column says otherwise.`;

/** The whole of docs/BENCHMARKS.md. `plots` are files beside it, `notes` what a person found out. */
export function markdown(
  run: Run,
  plots: Readonly<Partial<Record<string, readonly string[]>>>,
  notes: string,
): string {
  const order = Object.keys(TITLES) as Group["id"][];
  const groups = order.flatMap((id) => run.groups.filter((group) => group.id === id));
  const parts = [
    "# Benchmarks",
    "<!-- Written by `node test/bench/report.ts`; the notes at its end are docs/bench/notes.md. -->",
    METHOD,
    table(["", ""], Object.entries(run.machine)),
    "## Goals and what came out",
    table(
      ["what", "goal", "measured", ""],
      goalsOf(groups).map(({ what, goal, measured, met }) => [
        what,
        goal,
        measured,
        met === undefined ? "" : met ? "met" : "**missed**",
      ]),
    ),
    ...groups.flatMap((group) => [
      `## ${TITLES[group.id]}`,
      ...(group.notes ?? []),
      ...(plots[group.id] ?? []).map((file) => `![${TITLES[group.id]}](${file})`),
      rowsTable(group.rows),
    ]),
    notes.trim(),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Tables of rows that have the same columns stay together. */
function rowsTable(rows: readonly Row[]): string {
  const shapes = new Map<string, Row[]>();
  for (const row of rows) {
    const shape = Object.keys(row.figures ?? {}).join();
    shapes.set(shape, [...(shapes.get(shape) ?? []), row]);
  }
  return [...shapes.values()].map(oneTable).join("\n\n");
}

function oneTable(rows: readonly Row[]): string {
  const timed = rows.some(({ samples }) => samples !== undefined);
  const counted = rows.some(({ lost }) => lost !== undefined);
  const figures = Object.keys(rows[0]?.figures ?? {});
  const columns = [
    "",
    "when",
    ...(timed ? ["n", "min", "p50", "p90", "p99", "max"] : []),
    ...(counted ? ["lost"] : []),
    ...figures,
  ];
  return table(
    columns,
    rows.map(({ name, when, samples, lost, figures: own }) => [
      name,
      when,
      ...(timed
        ? [samples?.count, samples?.min, samples?.p50, samples?.p90, samples?.p99, samples?.max].map(cell)
        : []),
      ...(counted ? [cell(lost)] : []),
      ...figures.map((key) => cell(own?.[key])),
    ]),
  );
}

function cell(value: number | string | null | undefined): string {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  return typeof value === "number"
    ? value >= 10_000
      ? Math.round(value).toLocaleString("en")
      : number(value)
    : value;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
