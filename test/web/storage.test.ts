import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Browser, BROWSERS, launch } from "./support/browser.ts";
import { buildPage, PAGE, WebScene } from "./support/scene.ts";
import { TockPage } from "./support/tock-page.ts";

/** What the page keeps, for how long, and who can read it. */

describe.each(BROWSERS)("%s", (name) => {
  let scene: WebScene;
  let browser: Browser;
  let page: TockPage;

  beforeAll(async () => {
    await buildPage();
    scene = await WebScene.set({
      services: { ssh: { ports: ["tcp/22"], ttl: "8s" } },
    });
    browser = await launch(name, scene.phone);
    page = new TockPage(browser, PAGE);
  });
  beforeEach(() => page.showAnew());
  afterAll(async () => {
    await browser?.close();
    await scene?.[Symbol.asyncDispose]();
  });

  const opens = async (on: TockPage): Promise<void> => {
    await on.tap();
    await on.becomes("open");
    await on.press("Close");
    await on.becomes("shut");
  };

  const enrol = async (passphrase?: string): Promise<string> => {
    const { id, link } = await scene.newDevice();
    await page.enrol(link, passphrase);
    return id;
  };

  test("a profile outlives a reload and the browser, from disk", async () => {
    const id = await enrol();
    await browser.reload();
    await page.until("it is there", 'document.querySelector(".server") !== null');
    await opens(page);
    await browser.restart();
    await page.show();
    expect(await page.text(".server .where")).toBe(id);
    await opens(page);
  });

  test("no script can read the secret", async () => {
    await enrol();
    const found = await browser.evaluate<Record<string, unknown>>(`(${READ_KEYS})()`);
    expect(found).toEqual({
      keys: 1,
      extractable: false,
      usages: ["deriveBits"],
      raw: "refused",
      jwk: "refused",
      pkcs8: "refused",
      wrapped: "refused",
      // 16 bytes of server id and 32 of server key stand in the description as text; no bytes lie beside the key.
      bytes: 0,
    });
  });

  test("under a passphrase there is no key at all, and each use asks", async () => {
    await enrol("correct horse battery");
    const found = await browser.evaluate<{ keys: number }>(`(${READ_KEYS})()`);
    expect(found.keys).toBe(0);
    const open = async (passphrase: string): Promise<void> => {
      await page.tap();
      await page.fill("passphrase", passphrase);
      await page.press("Open");
    };
    await open("correct horse batterx");
    await page.until(
      "it is wrong",
      'document.querySelector("dialog[open] h2")?.textContent === "That is not the passphrase"',
    );
    await page.press("Not now");
    await open("correct horse battery");
    await page.becomes("open");
  });

  test("a backup comes back under its passphrase, and only so", async () => {
    const id = await enrol();
    await enrol();
    await browser.evaluate(CATCH_DOWNLOAD);
    await page.click(".server > header button");
    await page.press("Back up");
    await page.fill("new", "a long passphrase");
    await page.press("Back up");
    await page.until("there is a file", "globalThis.saved !== undefined");
    const text = await browser.evaluate<string>("globalThis.saved");
    expect(JSON.parse(text)).toMatchObject({ tock: 1, server: { device: id } });
    await page.click(".server > header button");
    await page.press("Remove");
    await page.press("Remove");
    await page.until("it is gone", 'document.querySelectorAll(".server").length === 1');
    await restore(text, "another passphrase");
    expect(await page.sheet()).toBe("That is not the passphrase");
    await page.press("OK");
    await restore(text, "a long passphrase");
    await page.until("it is back", 'document.querySelectorAll(".server").length === 2');
    const back = `[...document.querySelectorAll(".server")].find((each) => each.textContent.includes("${id}"))`;
    await browser.evaluate(`${back}.querySelector("button.open").click()`);
    await page.fill("passphrase", "a long passphrase");
    await page.press("Open");
    await page.until("it opens", `${back}.querySelector(".service").dataset.state === "open"`);
  });

  const restore = async (text: string, passphrase: string): Promise<void> => {
    await page.click("body > header button");
    await page.sheet();
    await browser.evaluate(`(${CHOOSE_FILE})(${JSON.stringify(text)})`);
    await page.fill("new", passphrase);
    await page.press("Restore");
  };

  test("over https it works without its host from then on", async () => {
    const { url, process } = await scene.serve("https");
    const hosted = new TockPage(browser, url);
    await hosted.showAnew();
    await hosted.enrol((await scene.newDevice()).link);
    await hosted.until("the worker has it", "navigator.serviceWorker.ready.then(() => true)");
    await browser.reload();
    await process.stop();
    await browser.reload();
    await hosted.until("it is there", 'document.querySelector(".server") !== null');
    await opens(hosted);
    expect(
      browser.requests().filter((each) => !/^(about|file|blob|data):/.test(each) && !each.startsWith(url)),
    ).toEqual([]);
  });

  test("over plain http it keeps nothing", async () => {
    const { url } = await scene.serve("http");
    const { link } = await scene.newDevice();
    const plain = new TockPage(browser, url);
    await plain.show(`#${link.slice(link.indexOf("#") + 1)}`);
    expect(await plain.text("main h2")).toBe("This page came over plain http");
    expect(await browser.evaluate("location.hash")).toBe("");
    expect(await browser.evaluate("indexedDB.databases().then((all) => all.length)")).toBe(0);
  });
});

/** Tries every way to the key of the one profile. */
const READ_KEYS = `async () => {
  const database = await new Promise((resolve) => {
    const request = indexedDB.open("tock");
    request.onsuccess = () => resolve(request.result);
  });
  const all = await new Promise((resolve) => {
    const request = database.transaction("profiles").objectStore("profiles").getAll();
    request.onsuccess = () => resolve(request.result);
  });
  database.close();
  if (all.length !== 1) throw new Error(all.length + " profiles");
  const keys = [];
  let bytes = 0;
  const look = (value) => {
    if (value instanceof CryptoKey) keys.push(value);
    else if (ArrayBuffer.isView(value)) bytes += 1;
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(look);
  };
  look(all[0]);
  const [key] = keys;
  if (key === undefined) return { keys: 0 };
  const attempt = (work) => work.then(() => "exported", () => "refused");
  const wrapping = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["wrapKey"]);
  return {
    keys: keys.length,
    extractable: key.extractable,
    usages: [...key.usages],
    raw: await attempt(crypto.subtle.exportKey("raw", key)),
    jwk: await attempt(crypto.subtle.exportKey("jwk", key)),
    pkcs8: await attempt(crypto.subtle.exportKey("pkcs8", key)),
    wrapped: await attempt(crypto.subtle.wrapKey("raw", key, wrapping, { name: "AES-GCM", iv: new Uint8Array(12) })),
    bytes,
  };
}`;

const CATCH_DOWNLOAD = `void (URL.createObjectURL = (blob) => {
  blob.text().then((text) => { globalThis.saved = text; });
  return "#";
})`;

const CHOOSE_FILE = `(text) => {
  const input = document.querySelector("#backup");
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], "tock.json", { type: "application/json" }));
  input.files = transfer.files;
  input.dispatchEvent(new Event("change"));
}`;
