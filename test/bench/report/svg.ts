/** Plots as SVG text: no script, no font but the reader's own, the same bytes for the same figures. */

const COLOURS = ["#0b6e4f", "#c1440e", "#2d5da1", "#8a4fa3", "#946c00", "#555555"];
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';

export interface Spread {
  readonly label: string;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** Which colour; one for each program. */
  readonly kind: number;
}

/** One line a row on a logarithmic scale: a dot at the median, a thick line to the 90th percentile, a thin one to the 99th. */
export function spreadPlot(title: string, unit: string, rows: readonly Spread[]): string {
  const [left, right, top, line] = [210, 830, 48, 24];
  const bottom = top + rows.length * line;
  const scale = logScale(
    rows.flatMap(({ p50, p99 }) => [p50, p99]),
    left,
    right,
  );
  const grid = scale.ticks.map(
    ({ at, text }) =>
      `<line x1="${at}" y1="${top - 8}" x2="${at}" y2="${bottom}" stroke="#dddddd"/><text x="${at}" y="${bottom + 16}" text-anchor="middle" fill="#555555">${text}</text>`,
  );
  const marks = rows.map(({ label, p50, p90, p99, kind }, index) => {
    const y = top + index * line + line / 2 - 4;
    const colour = COLOURS[kind % COLOURS.length];
    const [a, b, c] = [p50, p90, p99].map(scale.place);
    return [
      `<text x="${left - 10}" y="${y + 4}" text-anchor="end" fill="#222222">${escape(label)}</text>`,
      `<line x1="${a}" y1="${y}" x2="${c}" y2="${y}" stroke="${colour}" stroke-width="1.5"/>`,
      `<line x1="${a}" y1="${y}" x2="${b}" y2="${y}" stroke="${colour}" stroke-width="5" stroke-opacity="0.5"/>`,
      `<circle cx="${a}" cy="${y}" r="5" fill="${colour}"/>`,
      `<text x="${right + 12}" y="${y + 4}" fill="#222222">${number(p50)}</text>`,
    ].join("");
  });
  const head = `<text x="${right + 12}" y="${top - 12}" fill="#555555">p50, ${escape(unit)}</text>`;
  return frame(920, bottom + 34, title, [...grid, head, ...marks]);
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Lines over two logarithmic scales. Points that are not above zero are left out. */
export function linePlot(title: string, xName: string, yName: string, series: readonly Series[]): string {
  const [left, right, top, bottom] = [70, 640, 48, 330];
  const drawn = series.map(({ name, points }) => ({
    name,
    points: points.filter(([x, y]) => x > 0 && y > 0),
  }));
  const all = drawn.flatMap(({ points }) => points);
  const x = logScale(
    all.map(([value]) => value),
    left,
    right,
  );
  const y = logScale(
    all.map(([, value]) => value),
    bottom,
    top,
  );
  const grid = [
    ...x.ticks.map(
      ({ at, text }) =>
        `<line x1="${at}" y1="${top}" x2="${at}" y2="${bottom}" stroke="#eeeeee"/><text x="${at}" y="${bottom + 16}" text-anchor="middle" fill="#555555">${text}</text>`,
    ),
    ...y.ticks.map(
      ({ at, text }) =>
        `<line x1="${left}" y1="${at}" x2="${right}" y2="${at}" stroke="#eeeeee"/><text x="${left - 8}" y="${at + 4}" text-anchor="end" fill="#555555">${text}</text>`,
    ),
    `<text x="${right}" y="${bottom + 34}" text-anchor="end" fill="#222222">${escape(xName)}</text>`,
    `<text x="${left}" y="${top - 12}" fill="#222222">${escape(yName)}</text>`,
  ];
  const lines = drawn.map(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const path = points.map(([a, b]) => `${x.place(a)},${y.place(b)}`).join(" ");
    const dots = points.map(
      ([a, b]) => `<circle cx="${x.place(a)}" cy="${y.place(b)}" r="3.5" fill="${colour}"/>`,
    );
    const at = top + 10 + index * 20;
    const legend = `<rect x="${right + 20}" y="${at - 9}" width="12" height="12" fill="${colour}"/><text x="${right + 38}" y="${at + 2}" fill="#222222">${escape(name)}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join("")}${legend}`;
  });
  return frame(920, bottom + 48, title, [...grid, ...lines]);
}

function logScale(values: readonly number[], from: number, to: number) {
  const good = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...good, 1)));
  const first = good.length === 0 ? 0 : Math.max(low, Math.floor(Math.log10(Math.min(...good))));
  const last = good.length === 0 ? 1 : Math.max(first + 1, Math.ceil(Math.log10(Math.max(...good))));
  const place = (value: number): number =>
    round(from + ((Math.log10(Math.max(value, 10 ** first)) - first) / (last - first)) * (to - from));
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => ({
    at: place(10 ** (first + index)),
    text: number(10 ** (first + index)),
  }));
  return { place, ticks };
}

function frame(width: number, height: number, title: string, parts: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${FONT} role="img">`;
  const back = `<title>${escape(title)}</title><rect width="100%" height="100%" fill="#ffffff"/>`;
  const head = `<text x="16" y="22" font-size="15" font-weight="600" fill="#111111">${escape(title)}</text>`;
  return `${[open, back, head, ...parts, "</svg>"].join("\n")}\n`;
}

export function number(value: number): string {
  if (value >= 1e6 && value % 1e5 === 0) return `${value / 1e6}M`;
  if (value >= 1_000 && value % 100 === 0) return `${value / 1_000}k`;
  return String(Number(value.toPrecision(3)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
