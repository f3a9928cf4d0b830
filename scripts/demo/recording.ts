/** One line of terminal output: when it appeared (ms after the start) and its text with ANSI colours. */
export interface RecordedLine {
  readonly at: number;
  readonly text: string;
}

interface Span {
  readonly text: string;
  readonly classes: readonly string[];
}

const FONT = 13;
const LINE = 19;
const CHARACTER = 7.83;
const COLUMNS = 96;
const ROWS = 30;
const PAD = 18;
const BAR = 34;
/** A line is typed this long after the one before at most: nobody wants to watch half a minute pass. */
const LONGEST_PAUSE = 1_600;
const SHORTEST_PAUSE = 90;
const LAST_PAUSE = 7_000;

const SGR: Readonly<Record<string, string>> = {
  "1": "b",
  "2": "d",
  "31": "r",
  "32": "g",
  "33": "y",
  "35": "m",
  "36": "c",
};

/**
 * An animated SVG of a terminal: lines appear as they did, long waits cut short, and the screen scrolls.
 * Where animations are not shown (or not wanted) it is a still picture of the end.
 */
export function drawRecording(lines: readonly RecordedLine[], title: string): string {
  const times = timeline(lines);
  const total = (times.at(-1) ?? 0) + LAST_PAUSE;
  const percent = (ms: number): string => ((ms / total) * 100).toFixed(3);
  const scrolled = Math.max(0, lines.length - ROWS);
  const width = Math.round(2 * PAD + COLUMNS * CHARACTER);
  const height = BAR + 2 * PAD + ROWS * LINE - 6;

  const appear = times.map(
    (at, row) => `@keyframes l${row}{0%,${percent(at)}%{opacity:0}${percent(at + 1)}%,100%{opacity:1}}`,
  );
  const steps = Array.from({ length: scrolled }, (_, index) => {
    const at = times[ROWS + index] ?? 0;
    return `${percent(at)}%{transform:translateY(${-index * LINE}px)}${percent(at + 120)}%{transform:translateY(${-(index + 1) * LINE}px)}`;
  });
  const scroll = `@keyframes s{0%{transform:translateY(0)}${steps.join("")}100%{transform:translateY(${-scrolled * LINE}px)}}`;
  const rows = lines.map(({ text }, row) => drawLine(text, row));

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
<style>
text{font:${FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d5dae3;white-space:pre}
.b{font-weight:700;fill:#fff}.d{fill:#8a94a6}.r{fill:#ff7b72}.g{fill:#7ee787}.y{fill:#e3b341}.m{fill:#d2a8ff}.c{fill:#79c0ff}
.screen{transform:translateY(${-scrolled * LINE}px)}
@media (prefers-reduced-motion:no-preference){
.screen{animation:s ${total}ms linear infinite}
.screen text{animation-duration:${total}ms;animation-iteration-count:infinite;animation-timing-function:step-end}
${appear.join("\n")}
${scroll}
}
</style>
<defs><clipPath id="w"><rect x="0" y="${BAR + PAD - 1}" width="${width}" height="${ROWS * LINE}"/></clipPath></defs>
<rect width="${width}" height="${height}" rx="10" fill="#12161f"/>
<path d="M0 ${BAR}V10A10 10 0 0 1 10 0H${width - 10}A10 10 0 0 1 ${width} 10V${BAR}Z" fill="#1c2230"/>
<circle cx="20" cy="17" r="6" fill="#ff5f57"/><circle cx="40" cy="17" r="6" fill="#febc2e"/><circle cx="60" cy="17" r="6" fill="#28c840"/>
<text x="${width / 2}" y="22" text-anchor="middle" class="d">${escape(title)}</text>
<g clip-path="url(#w)"><g class="screen">
${rows.join("\n")}
</g></g>
</svg>
`;
}

function drawLine(text: string, row: number): string {
  const y = BAR + PAD + row * LINE + FONT;
  const spans = parseColours(text).map(({ text: part, classes }) =>
    classes.length === 0 ? escape(part) : `<tspan class="${classes.join(" ")}">${escape(part)}</tspan>`,
  );
  return `<text x="${PAD}" y="${y}" style="animation-name:l${row}" xml:space="preserve">${spans.join("")}</text>`;
}

/** When each line appears in the picture: as in reality, but no pause longer or shorter than is good to watch. */
function timeline(lines: readonly RecordedLine[]): number[] {
  let shown = 300;
  let before = lines[0]?.at ?? 0;
  return lines.map(({ at }) => {
    shown += Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, at - before));
    before = at;
    return Math.round(shown);
  });
}

/** Splits a line at its colour sequences (ECMA-48 SGR); any other control sequence is dropped. */
function parseColours(line: string): Span[] {
  const [plain = "", ...rest] = line.split("\u001b[");
  const spans: Span[] = plain === "" ? [] : [{ text: plain, classes: [] }];
  let classes: readonly string[] = [];
  for (const part of rest) {
    const [, codes = "", final, text = ""] = /^([0-9;?]*)([A-Za-z])(.*)$/.exec(part) ?? [];
    if (final === "m") classes = codes.split(";").reduce(applyCode, classes);
    if (text !== "") spans.push({ text, classes });
  }
  return spans;
}

function applyCode(classes: readonly string[], code: string): readonly string[] {
  const name = SGR[code];
  if (name !== undefined) return [...classes, name];
  if (code === "22") return classes.filter((each) => each !== "b" && each !== "d");
  if (code === "39") return classes.filter((each) => each === "b" || each === "d");
  return code === "" || code === "0" ? [] : classes;
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
