import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tock } from "../lab/programs.ts";
import type { Process } from "../lab/process.ts";
import { type Browser, launch } from "./support/browser.ts";
import { buildDist, WebScene } from "./support/scene.ts";
import { TockPage } from "./support/tock-page.ts";

/** `tock ui`: the page in front of the profiles of the command line. */

describe("tock ui", () => {
  let scene: WebScene;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    await buildDist();
    scene = await WebScene.set({
      services: { ssh: { ports: ["tcp/22"], ttl: "5s" } },
      users: { alice: { knock: true } },
    });
    await scene.daemon.enrol(scene.phone, "alice/laptop");
    ({ url } = await start());
    browser = await launch("chromium", scene.phone);
  });
  afterAll(async () => {
    await browser?.close();
    await scene?.[Symbol.asyncDispose]();
  });

  const start = async (): Promise<{ program: Process; url: string }> => {
    const program = scene.phone.start(tock("ui", "--no-browser"));
    return { program, url: (await program.waitFor(/http:\S+/))[0] };
  };
  const curl = async (...args: string[]): Promise<string> =>
    (await scene.phone.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ...args])).stdout;
  const post = (...args: string[]): Promise<string> =>
    curl("-X", "POST", "-H", "content-type: application/json", "-d", "{}", ...args);

  test("opens by the profile, tells the address, and shows the sequence", async () => {
    const page = new TockPage(browser, url);
    await page.showShut(() => Promise.reject(new Error("the profile is not there")));
    expect(await page.text(".server .where")).toBe("alice/laptop");
    await page.tap();
    await page.becomes("open");
    expect(await page.text(".status")).toMatch(/^Open for (192\.0\.2\.2|2001:db8::2)/);
    expect(await scene.logsIn()).toBe(true);
    await page.press("Close");
    await page.becomes("shut");
    expect(await scene.shut()).toBe(true);
    await page.click(".server > header button");
    await page.press("Knock sequence");
    await page.until("there are ports", 'document.querySelectorAll(".sequence li").length === 4');
  });

  test("nothing secret reaches the page", async () => {
    await new TockPage(browser, url).show();
    const answer = await browser.evaluate<string>(
      `fetch(new URL("api/list", location.href), { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).then((each) => each.text())`,
    );
    expect(JSON.parse(answer)).toHaveLength(1);
    expect(answer).not.toMatch(/secret|serverKey|current/);
  });

  test("only who knows its address gets anything, under its own name and from its own page", async () => {
    const { origin, host } = new URL(url);
    expect(await curl(url)).toBe("200");
    expect(await post("-H", `origin: ${origin}`, `${url}api/list`)).toBe("200");
    expect(await curl(`${origin}/`)).toBe("404");
    expect(await curl(`${origin}/${"A".repeat(32)}/`)).toBe("404");
    expect(await curl("-H", "host: tock.example:80", url)).toBe("404");
    expect(await curl("-H", `host: localhost:${host.split(":")[1]}`, url)).toBe("404");
    expect(await post(`${url}api/list`)).toBe("404");
    expect(await post("-H", "origin: https://evil.example", `${url}api/list`)).toBe("404");
    expect(await post("-H", `origin: ${origin}`, `${origin}/${"A".repeat(32)}/api/list`)).toBe("404");
    expect(await curl("-X", "POST", "-H", `origin: ${origin}`, "-d", "{}", `${url}api/list`)).toBe("404");
    expect(await curl("-H", `origin: ${origin}`, `${url}api/list`)).toBe("404");
    expect(await post("-H", `origin: ${origin}`, `${url}api/constructor`)).toBe("404");
  });

  test("it listens on loopback alone, and ends with its program", async () => {
    const own = await start();
    const port = new URL(own.url).port;
    expect(await curl("--max-time", "2", `http://${scene.phone.at(4)}:${port}/`)).toBe("000");
    expect(await curl(own.url)).toBe("200");
    await own.program.stop("SIGINT");
    expect(await curl("--max-time", "2", own.url)).toBe("000");
  });
});
