import { wayTo } from "./connect.ts";
import { h, ICONS, icon } from "./dom.ts";
import type { Engine, Given, Outcome, ServerView, ServiceView } from "./engine.ts";
import { tell, tellProblem } from "./enrol-sheet.ts";
import { showFailure } from "./failure.ts";
import { say } from "./live.ts";
import { given } from "./prompts.ts";
import { longTime, Ring } from "./ring.ts";
import { wordsFor } from "./words.ts";

type State = "shut" | "opening" | "open" | "sent" | "failed";

/** Extend when a quarter of the lifetime is left, or 8 s; but not before half of it has gone. */
const EXTEND_PART = 0.25;
const EXTEND_MS = 8_000;
/** A state that nothing confirms or that failed goes away by itself. */
const FADE_MS = 30_000;

/** One service: a big button, how to connect, and what can be done while it is open. Its height never changes. */
export class ServiceCard {
  readonly element: HTMLElement;
  readonly #engine: Engine;
  readonly #server: ServerView;
  readonly #service: ServiceView;
  readonly #ring = new Ring();
  readonly #status = h("span", { class: "status" });
  readonly #button: HTMLButtonElement;
  readonly #keep: HTMLInputElement;
  readonly #actions: HTMLElement;
  #state: State = "shut";
  #until = 0;
  #lifetime = 1;
  #busy = false;
  #asksCode = false;
  #given: Given = {};
  #fade: ReturnType<typeof setTimeout> | undefined;

  constructor(engine: Engine, server: ServerView, service: ServiceView) {
    this.#engine = engine;
    this.#server = server;
    this.#service = service;
    this.#button = h(
      "button",
      { class: "open", type: "button", click: () => void this.#tap() },
      this.#ring.element,
      h("span", { class: "label" }, h("span", { class: "name" }, service.name), this.#status),
      h("span", { class: "ports" }, service.ports.join(", ")),
    );
    this.#keep = h("input", {
      type: "checkbox",
      role: "switch",
      disabled: server.secondFactor || !server.replies,
      change: () => this.tick(),
    });
    this.#actions = this.#makeActions();
    this.element = h(
      "article",
      { class: "service", "data-service": service.name },
      this.#button,
      this.#actions,
    );
    if (service.openUntil !== undefined && service.openUntil > Date.now()) this.#opened(service.openUntil);
    else this.#enter("shut", "Tap to open");
  }

  /** Called a few times a second. */
  tick(): void {
    if (this.#state !== "open") return;
    const left = this.#until - Date.now();
    if (left <= 0) {
      this.#enter("shut", "Shut again. Tap to open");
      say(`${this.#service.name} is shut again`);
      return;
    }
    this.#lifetime = Math.max(this.#lifetime, left);
    this.#ring.show(left / this.#lifetime, Math.ceil(left / 1000));
    const isVisible = document.visibilityState === "visible";
    const margin = Math.max(EXTEND_MS, this.#lifetime * EXTEND_PART);
    const isDue = left < Math.min(margin, this.#lifetime / 2);
    if (this.#keep.checked && isVisible && isDue && !this.#busy) void this.#open(this.#given, true);
  }

  async #tap(): Promise<void> {
    if (this.#busy) return;
    const what = await given(this.#server, { code: this.#asksCode ? "always" : true }, "Open");
    if (what !== undefined) await this.#open(what, false);
  }

  async #open(what: Given, isExtension: boolean): Promise<void> {
    this.#busy = true;
    if (!isExtension) this.#enter("opening", "Opening…");
    const slow = setTimeout(() => {
      if (this.#state === "opening") this.#status.textContent = "No answer yet. Looking for the reason…";
    }, 4_000);
    const outcome = await this.#engine.open(this.#server.id, this.#service.name, what).catch(broken);
    clearTimeout(slow);
    this.#busy = false;
    // Held for extending, and for no longer than it is open.
    this.#given = outcome.kind === "opened" ? { passphrase: what.passphrase } : {};
    // Some services ask for a code though their user is not asked in general.
    if (outcome.kind === "failed" && outcome.problem.code === "second-factor" && what.otp === undefined) {
      this.#asksCode = true;
      this.#enter("shut", "Needs a code");
      if (isExtension) this.#keep.checked = false;
      else await this.#tap();
      return;
    }
    this.#show(outcome, isExtension);
  }

  #show(outcome: Outcome, isExtension: boolean): void {
    if (outcome.kind === "opened") {
      this.#lifetime = 1;
      this.#opened(outcome.until, outcome.seen);
      if (!isExtension)
        say(`${this.#service.name} is open for ${longTime((outcome.until - Date.now()) / 1000)}`);
    } else if (outcome.kind === "sent" || outcome.kind === "knocked") {
      const text = outcome.kind === "sent" ? "Sent, not confirmed" : "Knocked, not confirmed";
      this.#enter("sent", text);
      say(text);
    } else if (outcome.kind === "failed") {
      if (isExtension) this.#keep.checked = false;
      else this.#fail(outcome);
    } else {
      this.#enter("shut", "Shut. Tap to open");
      say(`${this.#service.name} is shut`);
    }
  }

  #fail(outcome: Extract<Outcome, { kind: "failed" }>): void {
    this.#enter("failed", wordsFor(outcome.problem).short);
    void showFailure(this.#engine, this.#server, outcome.problem, {
      again: () => void this.#tap(),
      knocked: (result) => this.#show(result, false),
    });
  }

  #opened(until: number, seen?: string): void {
    this.#until = until;
    this.#enter("open", seen === undefined ? "Open for you" : `Open for ${seen}`);
    this.tick();
  }

  #enter(state: State, text: string): void {
    clearTimeout(this.#fade);
    this.#state = state;
    this.element.dataset["state"] = state;
    this.#status.textContent = text;
    this.#button.setAttribute("aria-busy", String(state === "opening"));
    if (state !== "open") this.#ring.show(state === "opening" ? 0.25 : 0, undefined);
    for (const button of this.#actions.querySelectorAll<HTMLButtonElement>("[data-when=open]")) {
      button.disabled = state !== "open" && !(state === "sent" && button.dataset["also"] === "sent");
    }
    if (state === "sent" || state === "failed") {
      this.#fade = setTimeout(() => this.#enter("shut", "Tap to open"), FADE_MS);
    }
  }

  #makeActions(): HTMLElement {
    const way = wayTo(this.#server, this.#service);
    const copy = h(
      "button",
      {
        type: "button",
        class: "square",
        "aria-label": `Copy ${way.text}`,
        click: () => void this.#copy(way.text, copy),
      },
      icon(...ICONS.copy),
    );
    const label = `Connect to ${this.#service.name} on ${this.#server.name}`;
    const go =
      way.link !== undefined &&
      h("a", { class: "square", href: way.link, "aria-label": label }, icon(...ICONS.go));
    return h(
      "div",
      { class: "actions" },
      h("div", { class: "way" }, h("code", {}, way.text), copy, go),
      h(
        "div",
        { class: "while" },
        h("label", { class: "keep" }, this.#keep, h("span", {}, "Keep open")),
        h("button", { type: "button", "data-when": "open", click: () => void this.#ask() }, "My IP"),
        h(
          "button",
          { type: "button", "data-when": "open", "data-also": "sent", click: () => void this.#close() },
          "Close",
        ),
      ),
    );
  }

  async #copy(text: string, button: HTMLElement): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return;
    }
    button.replaceChildren(icon(...ICONS.done));
    say("Copied");
    setTimeout(() => button.replaceChildren(icon(...ICONS.copy)), 1_500);
  }

  async #close(): Promise<void> {
    if (this.#busy) return;
    const what = await given(this.#server, { code: false }, "Close");
    if (what === undefined) return;
    this.#busy = true;
    this.#keep.checked = false;
    const outcome = await this.#engine.close(this.#server.id, this.#service.name, what).catch(broken);
    this.#busy = false;
    if (outcome.kind === "failed") {
      void showFailure(this.#engine, this.#server, outcome.problem, { again: () => void this.#close() });
    } else this.#show(outcome, false);
  }

  /** Asks the server which address it sees, that is: for whom it is open. */
  async #ask(): Promise<void> {
    const what = await given(this.#server, { code: false }, "Ask");
    if (what === undefined) return;
    const result = await this.#engine.check(this.#server.id, what);
    if ("code" in result) return tellProblem(result);
    const [first = "an address that it does not tell"] = result.seen;
    if (this.#state === "open") this.#status.textContent = `Open for ${first}`;
    await tell(`${this.#server.name} sees you as`, result.seen.join(" and "), []);
  }
}

function broken(error: unknown): Outcome {
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", problem: { code: "other", message } };
}
