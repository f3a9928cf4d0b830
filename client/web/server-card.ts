import { h, ICONS, icon } from "./dom.ts";
import type { Engine, ServerView } from "./engine.ts";
import { ServiceCard } from "./service-card.ts";
import { showServer } from "./server-sheet.ts";

/** One server and its services. */
export class ServerCard {
  readonly element: HTMLElement;
  readonly #services: readonly ServiceCard[];

  constructor(engine: Engine, server: ServerView, changed: () => void) {
    this.#services = server.services.map((service) => new ServiceCard(engine, server, service));
    const id = `server-${server.id}`;
    const more = h(
      "button",
      {
        type: "button",
        class: "square",
        "aria-label": `More about ${server.name}`,
        click: () => void this.#more(engine, server.id).then(changed),
      },
      icon(...ICONS.more),
    );
    const note = server.enrolling ? " · enrolment not finished: open something to finish it" : "";
    this.element = h(
      "section",
      { class: "server", "aria-labelledby": id, "data-server": server.name },
      h(
        "header",
        {},
        h("div", {}, h("h2", { id }, server.name), h("p", { class: "where" }, `${server.device}${note}`)),
        more,
      ),
      ...this.#services.map(({ element }) => element),
    );
  }

  /** What is stored may have changed since this card was made. */
  async #more(engine: Engine, id: string): Promise<void> {
    const server = (await engine.list()).find((each) => each.id === id);
    if (server !== undefined) await showServer(engine, server);
  }

  tick(): void {
    for (const service of this.#services) service.tick();
  }
}
