import { h } from "./dom.ts";

const region = h("div", { class: "hidden", role: "status", "aria-live": "polite" });

/** Says something to people who listen rather than look. */
export function say(text: string): void {
  if (!region.isConnected) document.body.append(region);
  region.textContent = text;
}
