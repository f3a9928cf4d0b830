import { drawn, ICONS, s } from "./dom.ts";

/** A ring that runs down: an icon in its middle, or the seconds that are left. */
export class Ring {
  readonly element: SVGElement;
  readonly #arc: SVGElement;
  readonly #text: SVGElement;
  readonly #icon: SVGElement;

  constructor() {
    this.#arc = s("circle", { class: "arc", cx: 28, cy: 28, r: 25, pathLength: 1 });
    this.#text = s("text", { x: 28, y: 28 });
    this.#icon = s("g", { transform: "translate(16 15)" }, ...drawn(...ICONS.shut));
    this.element = s(
      "svg",
      { class: "ring", viewBox: "0 0 56 56", "aria-hidden": "true" },
      s("circle", { class: "track", cx: 28, cy: 28, r: 25 }),
      this.#arc,
      this.#text,
      this.#icon,
    );
  }

  /** `part` of 1 is left, which is so many seconds; undefined shows the icon. */
  show(part: number, seconds: number | undefined): void {
    this.#arc.style.strokeDashoffset = String(1 - part);
    this.#text.textContent = seconds === undefined ? "" : shortTime(seconds);
    this.#icon.style.display = seconds === undefined ? "" : "none";
  }
}

/** `27`, `4m`, `3h`: at most three characters. */
export function shortTime(seconds: number): string {
  if (seconds < 100) return String(seconds);
  return seconds < 6000 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`;
}

/** `1 second`, `5 minutes`. */
export function longTime(seconds: number): string {
  const [count, unit] =
    seconds < 120 ? [Math.round(seconds), "second"] : [Math.round(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
