import { readFile, stat } from "node:fs/promises";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Chromium } from "./support/chromium.ts";
import { buildPage, DIST, PAGE, WebScene } from "./support/scene.ts";
import { TockPage } from "./support/tock-page.ts";

/** What a person and an auditor look at: size, what it may do, contrast, targets, keyboard, stillness. */

const WIDTHS = [320, 390, 1280];
const SCHEMES = ["light", "dark"] as const;

describe("the file", () => {
  beforeAll(() => buildPage());

  test("is small, whole, and of the hash that is published", async () => {
    for (const name of ["tock.html", "web/index.html"]) {
      expect((await stat(`${DIST}${name}`)).size).toBeLessThan(150_000);
      const page = await readFile(`${DIST}${name}`, "utf8");
      const sum = createHash("sha256").update(page).digest("hex");
      expect(await readFile(`${DIST}tock.html.sha256`, "utf8")).toContain(`${sum}  ${name}\n`);
    }
  });

  test("names no other host, and may fetch nothing", async () => {
    const page = await readFile(`${DIST}tock.html`, "utf8");
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? "";
    expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; /);
    expect(policy).toContain("connect-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(page.match(/<(script|link|img|iframe)\b[^>]*\b(src|href)=/g)).toBeNull();
    const hosts = (page.match(/(https?|wss?):\/\/[a-z0-9][^"'`\s$]*/gi) ?? []).filter(
      (each) => !/w3\.org/.test(each),
    );
    expect(hosts).toEqual([]);
  });
});

describe("on the screen", () => {
  let scene: WebScene;
  let browser: Chromium;
  let page: TockPage;

  beforeAll(async () => {
    await buildPage();
    scene = await WebScene.set({
      services: { ssh: { ports: ["tcp/22"], ttl: "60s" }, web: { ports: ["tcp/443"], ttl: "60s" } },
      users: { alice: { knock: true } },
    });
    browser = await Chromium.launch(scene.phone);
    await browser.preload(SHIFTS);
    page = new TockPage(browser, PAGE);
  });
  beforeEach(() => page.showShut(async () => (await scene.newDevice()).link));
  afterAll(async () => {
    await browser?.close();
    await scene?.[Symbol.asyncDispose]();
  });

  test("opening, counting and closing move nothing", async () => {
    const heights = async (): Promise<unknown> =>
      browser.evaluate(
        '[...document.querySelectorAll(".service, .server")].map((each) => each.getBoundingClientRect().toJSON())',
      );
    const before = await heights();
    await page.tap();
    await page.becomes("open");
    expect(await heights()).toEqual(before);
    await page.press("Close");
    await page.becomes("shut");
    expect(await heights()).toEqual(before);
    expect(await browser.evaluate("globalThis.shifted")).toBe(0);
  });

  test("the keyboard reaches everything, and opens", async () => {
    const keyboard = browser.page.keyboard;
    const names: string[] = [];
    for (let press = 0; press < 12; press++) {
      await keyboard.press("Tab");
      names.push(await browser.evaluate<string>(`(${NAME_OF})(document.activeElement)`));
      if (names.at(-1)?.startsWith("ssh")) await keyboard.press("Enter");
    }
    await page.becomes("open");
    expect(names.slice(0, 6)).toEqual([
      "Add a server",
      "More about server",
      expect.stringContaining("ssh"),
      "Copy ssh 192.0.2.1",
      "Connect to ssh on server",
      "Keep open",
    ]);
    await page.press("Close");
    await page.becomes("shut");
    await page.click(".server > header button");
    await page.sheet();
    await keyboard.press("Escape");
    await page.until("the sheet is gone", 'document.querySelector("dialog") === null');
  });

  for (const width of WIDTHS) {
    for (const scheme of SCHEMES) {
      test(`${width} pixels, ${scheme}: contrast, targets, names, no sideways scrolling`, async () => {
        await browser.screenshot({ width, height: 800, scheme });
        const faults: unknown[] = [];
        const look = async (where: string): Promise<void> => {
          // Past the sheet's rise.
          await new Promise((resolve) => setTimeout(resolve, 250));
          const found = await browser.evaluate<string[]>(`(${FAULTS})()`);
          faults.push(...found.map((fault) => `${where}: ${fault}`));
        };
        await look("list");
        await page.tap();
        await page.becomes("open");
        await look("open");
        await page.press("Close");
        await page.becomes("shut");
        await page.click(".server > header button");
        await page.sheet();
        await look("more");
        await page.press("Rename");
        await page.until("the field is there", 'document.querySelector("dialog[open] input") !== null');
        await look("rename");
        expect(faults).toEqual([]);
      });
    }
  }

  test("no request left the page", () => {
    expect(browser.requests().filter((url) => !url.startsWith(PAGE) && url !== "about:blank")).toEqual([]);
  });
});

const SHIFTS = `
  globalThis.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) globalThis.shifted += entry.value;
  }).observe({ type: "layout-shift", buffered: true });`;

const NAME_OF = `(element) =>
  element?.getAttribute("aria-label") ?? element?.labels?.[0]?.textContent ?? element?.textContent ?? ""`;

/** WCAG 2.2: contrast (1.4.3 and 1.4.11 for text), target size (44 pixels), names (4.1.2), reflow (1.4.10). */
const FAULTS = `() => {
  const faults = [];
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((part, index) => part * a + under[index] * (1 - a));
  const ground = (element) => {
    const layers = [];
    for (let each = element; each !== null; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const root = document.querySelector("dialog[open]") ?? document.body;
  const visible = (element) => element.getClientRects().length > 0 && element.closest(".hidden, .file") === null;
  for (const element of root.querySelectorAll("*")) {
    if (!visible(element)) continue;
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    const isOff = element.closest(":disabled, :has(> :disabled)") !== null;
    if (hasText && !isOff && !["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) {
      const style = getComputedStyle(element);
      const back = ground(element);
      const front = over(rgba(element instanceof SVGElement ? style.fill : style.color), back);
      const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) faults.push("contrast " + ratio.toFixed(2) + " of " + element.textContent);
    }
    if (element.matches("button, a, input, textarea, [role=switch]")) {
      const box = (element.closest("label") ?? element).getBoundingClientRect();
      const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
      if (box.width < 44 || box.height < 44) faults.push("target " + box.width + " x " + box.height + " of " + name);
      if ((name ?? "").trim() === "") faults.push("no name: " + element.outerHTML.slice(0, 80));
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push("wider than the screen: " + document.documentElement.scrollWidth);
  return faults;
}`;
