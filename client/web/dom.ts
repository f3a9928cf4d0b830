/** Elements without a framework. Text goes in as text: nothing here parses HTML. */

type Child = Node | string | undefined | false;
type Properties = Readonly<Record<string, string | boolean | number | ((event: Event) => void) | undefined>>;

const SVG = "http://www.w3.org/2000/svg";

/** An element: functions become listeners, true an empty attribute, false and undefined nothing. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  return fill(document.createElement(name), properties, children);
}

export function s(name: string, properties: Properties = {}, ...children: readonly Child[]): SVGElement {
  return fill(document.createElementNS(SVG, name), properties, children);
}

function fill<T extends Element>(element: T, properties: Properties, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/** An icon of 24 × 24 out of stroked paths; the text beside it or a label says what it means. */
export function icon(...paths: readonly string[]): SVGElement {
  return s("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, ...drawn(...paths));
}

/** The paths alone, for a drawing that they are a part of. */
export function drawn(...paths: readonly string[]): SVGElement[] {
  return paths.map((d) => s("path", { d }));
}

export const ICONS = {
  add: ["M12 5v14M5 12h14"],
  more: ["M5 12h.01M12 12h.01M19 12h.01"],
  copy: ["M9 9h11v11H9zM5 15H4V4h11v1"],
  done: ["M5 13l4 4L19 7"],
  go: ["M7 17L17 7M9 7h8v8"],
  shut: ["M7 11V8a5 5 0 0 1 10 0v3M5 11h14v9H5z"],
  open: ["M7 11V8a5 5 0 0 1 9.6-2M5 11h14v9H5z"],
} as const;
