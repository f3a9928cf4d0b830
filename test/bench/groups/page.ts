import { must } from "../../lab/exec.ts";
import type { Host } from "../../lab/host.ts";
import { Chromium } from "../../web/support/chromium.ts";
import { TockPage } from "../../web/support/tock-page.ts";
import { PAGE } from "../lib/programs.ts";
import type { Row } from "../lib/result.ts";
import { summarise } from "../lib/stats.ts";
import type { TockDoor } from "../lib/tock-door.ts";

/** By the page's own clock, from the click to the state that tells a person that the door is open; -1 = it never was. */
const TAP = `new Promise((done) => {
  const service = () => document.querySelector("[data-service=ssh]");
  const watcher = new MutationObserver(() => {
    if (service()?.dataset.state !== "open") return;
    watcher.disconnect();
    done(performance.now() - start);
  });
  watcher.observe(document.body, { attributes: true, childList: true, subtree: true });
  setTimeout(() => done(-1), 10_000);
  const start = performance.now();
  service().querySelector("button.open").click();
})`;

/** The web client in Debian's Chromium: WebRTC, STUN, and the page's own drawing. */
export async function measurePage(client: Host, door: TockDoor, rounds: number): Promise<Row> {
  for (const family of [4, 6] as const) {
    const route = [`-${family}`, "route", "add", "default", "via", door.host.at(family)];
    await must(["ip", "-n", client.namespace, ...route]);
  }
  const link = await door.server.addDevice("alice/browser");
  const browser = await Chromium.launch(client);
  try {
    const page = new TockPage(browser, PAGE);
    await page.enrol(link);
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      times.push(await browser.evaluate<number>(TAP));
      await page.becomes("open");
      await page.press("Close");
      await page.becomes("shut");
    }
    const good = times.filter((time) => time >= 0);
    return {
      name: "page, tap to opened",
      when: "warm",
      samples: summarise(good),
      lost: times.length - good.length,
    };
  } finally {
    await browser.close();
  }
}
