import { eventually } from "../../lab/wait.ts";
import type { Browser } from "./browser.ts";

/** The web client as a person uses it: by what it shows. */
export class TockPage {
  readonly browser: Browser;
  readonly url: string;

  constructor(browser: Browser, url: string) {
    this.browser = browser;
    this.url = url;
  }

  async show(fragment = ""): Promise<void> {
    // Only another document is loaded anew for another fragment.
    await this.browser.goto("about:blank");
    await this.browser.goto(`${this.url}${fragment}`);
    await this.until("the page is there", 'document.querySelector("main")?.childElementCount > 0');
  }

  /** Shows the page as to a browser that was never here. */
  async showAnew(): Promise<void> {
    await this.show();
    await this.browser.evaluate(`(${FORGET})()`);
    await this.show();
  }

  /** Shows the page with a server on it and its service shut, whatever a test before has left. */
  async showShut(link: () => Promise<string>, service = "ssh"): Promise<void> {
    await this.show();
    if (await this.browser.evaluate<boolean>('document.querySelector(".server") === null'))
      await this.enrol(await link());
    if ((await this.state(service)) === "open") await this.press("Close");
    await this.becomes("shut", service, 70_000);
  }

  /** Clicks what a CSS selector finds. */
  async click(selector: string): Promise<void> {
    const it = JSON.stringify(selector);
    await this.until(
      `there is ${selector}`,
      `document.querySelector(${it}) !== null && !document.querySelector(${it}).disabled`,
    );
    await this.browser.evaluate(`document.querySelector(${it}).click()`);
  }

  /** Clicks the button with this text, in the sheet when there is one; a sheet that was closed may still be there. */
  async press(text: string): Promise<void> {
    const find = `[...(document.querySelector("dialog[open]") ?? document).querySelectorAll("button, label.plain")].find((each) => each.closest("dialog:not([open])") === null && (each.querySelector("span")?.textContent ?? each.textContent) === ${JSON.stringify(text)} && !each.disabled)`;
    await this.until(`there is a button ${text}`, `${find} !== undefined`);
    await this.browser.evaluate(`${find}.click()`);
  }

  async fill(name: string, value: string): Promise<void> {
    const find = `document.querySelector('dialog[open] [name=${name}]')`;
    await this.until(`there is a field ${name}`, `${find} !== null`);
    await this.browser.evaluate(`${find}.value = ${JSON.stringify(value)}`);
  }

  async text(selector: string): Promise<string> {
    return await this.browser.evaluate<string>(
      `document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`,
    );
  }

  /** Enrols from a link of `tockd device add`. */
  async enrol(link: string, passphrase?: string): Promise<void> {
    await this.show(`#${link.slice(link.indexOf("#") + 1)}`);
    if (passphrase !== undefined) await this.fill("new", passphrase);
    const servers = 'document.querySelectorAll(".server").length';
    const before = await this.browser.evaluate<number>(servers);
    await this.press("Add");
    await this.until(
      "the server was added",
      `document.querySelector("dialog") === null && ${servers} > ${before}`,
    );
  }

  async tap(service = "ssh"): Promise<void> {
    await this.click(`[data-service=${service}] button.open`);
  }

  async state(service = "ssh"): Promise<string> {
    return await this.browser.evaluate(
      `document.querySelector("[data-service=${service}]")?.dataset.state ?? ""`,
    );
  }

  async becomes(state: string, service = "ssh", within = 15_000): Promise<void> {
    const isSo = async (): Promise<boolean> => (await this.state(service)) === state;
    try {
      await eventually(`${service} is ${state}`, isSo, { within });
    } catch (error) {
      throw new Error(`the page shows: ${await this.#shown()}`, { cause: error });
    }
  }

  /** All that can be read, for the message of a failure. */
  async #shown(): Promise<string> {
    return await this.browser.evaluate<string>('document.body.innerText.replaceAll(/\\s+/g, " ")');
  }

  /** The title of the sheet that is up. */
  async sheet(within = 15_000): Promise<string> {
    await this.until("a sheet is up", 'document.querySelector("dialog[open]") !== null', within);
    return await this.text("dialog[open] h2");
  }

  async until(what: string, expression: string, within = 15_000): Promise<void> {
    await eventually(what, () => this.browser.evaluate<boolean>(expression), { within });
  }
}

/** Takes away what the page has stored. */
const FORGET = `async () => {
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open("tock");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const writing = database.transaction("profiles", "readwrite");
  writing.objectStore("profiles").clear();
  await new Promise((resolve) => { writing.oncomplete = resolve; });
  database.close();
}`;
