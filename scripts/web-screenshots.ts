import { setTimeout as sleep } from "node:timers/promises";
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Chromium } from "../test/web/support/chromium.ts";
import { buildPage, PAGE, WebScene } from "../test/web/support/scene.ts";
import { TockPage } from "../test/web/support/tock-page.ts";
import type { Look } from "../test/web/support/browser.ts";

// Pictures of the web client against a real daemon, in network namespaces: `node scripts/web-screenshots.ts` (root, Linux).

const { values } = parseArgs({
  options: { out: { type: "string", default: "docs/images" }, all: { type: "boolean", default: false } },
});
const folder = new URL(`../${values.out}/`, import.meta.url);
const LOOKS: Look[] = [
  { width: 390, height: 844, scheme: "light" },
  { width: 390, height: 844, scheme: "dark" },
  ...(values.all
    ? ([
        { width: 320, height: 568, scheme: "light" },
        { width: 320, height: 568, scheme: "dark" },
        { width: 1280, height: 800, scheme: "light" },
        { width: 1280, height: 800, scheme: "dark" },
      ] as const)
    : []),
];

await mkdir(folder, { recursive: true });
await buildPage();
await using scene = await WebScene.set({
  services: {
    ssh: { ports: ["tcp/22"], ttl: "60s" },
    web: { ports: ["tcp/443"], ttl: "60s" },
  },
  users: { alice: { knock: true } },
  tables: { server: { name: "home" } },
});
const browser = await Chromium.launch(scene.phone);
const page = new TockPage(browser, PAGE);

async function shoot(name: string): Promise<void> {
  await sleep(400);
  for (const look of LOOKS) {
    const png = await browser.screenshot(look);
    const size = look.width === 390 ? "" : `-${look.width}`;
    await writeFile(new URL(`web-${name}${size}-${look.scheme}.png`, folder), png);
  }
}

try {
  await page.show();
  await shoot("welcome");
  const link = await scene.daemon.addDevice("alice/phone");
  await page.show(`#${link.slice(link.indexOf("#") + 1)}`);
  await page.sheet();
  await shoot("enrol");
  await page.press("Add");
  await page.until(
    "it was added",
    'document.querySelector("dialog") === null && document.querySelector(".server") !== null',
  );
  await shoot("list");
  await page.tap();
  await page.becomes("open");
  await shoot("open");
  await page.press("My IP");
  await page.sheet();
  await shoot("seen");
  await page.press("OK");
  await page.click(".server > header button");
  await page.sheet();
  await shoot("more");
  await page.press("Knock sequence");
  await page.until("there are ports", 'document.querySelector(".sequence li") !== null');
  await shoot("sequence");
  await browser.evaluate('document.querySelector("dialog").close()');
  await scene.daemon.stop();
  await page.tap("web");
  await page.until("the reason", 'document.querySelector("dialog[open]") !== null', 20_000);
  await shoot("no-answer");
} finally {
  await browser.close();
}
