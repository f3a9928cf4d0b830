import { h, ICONS, icon } from "./dom.ts";
import { add, enrol } from "./enrol-sheet.ts";
import type { Engine, ServerView } from "./engine.ts";
import { ServerCard } from "./server-card.ts";

const TICK_MS = 250;

/** The list of servers, and the way to more of them. */
export class App {
  readonly #engine: Engine;
  readonly #main: HTMLElement;
  #cards: ServerCard[] = [];
  #shown = "";

  constructor(engine: Engine, main: HTMLElement, bar: HTMLElement) {
    this.#engine = engine;
    this.#main = main;
    const { own } = engine;
    if (own !== undefined) {
      const act = (): void => void add(own).then(() => this.refresh());
      bar.append(
        h(
          "button",
          { type: "button", class: "square", "aria-label": "Add a server", click: act },
          icon(...ICONS.add),
        ),
      );
    }
    setInterval(() => {
      for (const card of this.#cards) card.tick();
    }, TICK_MS);
  }

  /** Shows what is stored. Cards of servers that did not change stay as they are. */
  async refresh(): Promise<void> {
    const servers = await this.#engine.list();
    const shown = JSON.stringify(servers, (key, value: unknown) => (key === "openUntil" ? undefined : value));
    if (shown === this.#shown && this.#main.childElementCount > 0) return;
    this.#shown = shown;
    this.#cards = servers.map((server) => this.#cardOf(server));
    this.#main.replaceChildren(
      ...(servers.length === 0 ? [this.#welcome()] : this.#cards.map(({ element }) => element)),
    );
  }

  async enrol(link: string): Promise<void> {
    const { own } = this.#engine;
    if (own === undefined) return;
    await enrol(own, link);
    await this.refresh();
  }

  #cardOf(server: ServerView): ServerCard {
    return new ServerCard(this.#engine, server, () => void this.refresh());
  }

  #welcome(): HTMLElement {
    const { own } = this.#engine;
    const start = (): void => {
      if (own !== undefined) void add(own).then(() => this.refresh());
    };
    const text =
      own === undefined
        ? "There are no profiles yet. In a terminal: tock enroll -"
        : "Open the link that the administrator gave you, or scan its QR code. Each link works once.";
    return h(
      "div",
      { class: "welcome" },
      h("div", { class: "door", "aria-hidden": "true" }, icon(...ICONS.shut)),
      h("h2", {}, "No servers yet"),
      h("p", {}, text),
      own !== undefined && h("button", { type: "button", class: "primary", click: start }, "Add a server"),
    );
  }
}
