import { type TOTP, URI } from "otpauth";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { parsePort } from "../../shared/brand.ts";
import { decodeEnrolment, type Enrolment, encodeEnrolment } from "../../shared/enrolment.ts";
import { unwrap } from "../../shared/result.ts";
import { type Browser, BROWSERS, launch } from "./support/browser.ts";
import { buildPage, PAGE, WebScene } from "./support/scene.ts";
import { TockPage } from "./support/tock-page.ts";

/** Each way in which it can fail says so in its own words. */

describe.each(BROWSERS)("%s", (name) => {
  let scene: WebScene;
  let browser: Browser;
  let page: TockPage;

  beforeAll(async () => {
    await buildPage();
    scene = await WebScene.set({
      services: {
        ssh: { ports: ["tcp/22"], ttl: "8s" },
        vault: { ports: ["tcp/8022"], second_factor: "required" },
      },
      users: {
        alice: {},
        bob: { services: ["ssh"], deny: ["192.0.2.0/24", "2001:db8::/64"] },
        erin: {},
      },
    });
    browser = await launch(name, scene.phone);
    await browser.preload(CLOCK);
    page = new TockPage(browser, PAGE);
  });
  beforeEach(() => page.showAnew());
  afterAll(async () => {
    await browser?.close();
    await scene?.[Symbol.asyncDispose]();
  });

  /** Shows the page with the device's clock ahead of the server's by so many seconds. */
  const withClock = async (ahead: number): Promise<void> => {
    await page.enrol((await scene.newDevice()).link);
    await page.show(`?ahead=${ahead}`);
  };
  const failsToEnrol = async (link: string): Promise<string> => {
    await page.show(`#${link.slice(link.indexOf("#") + 1)}`);
    await page.press("Add");
    await page.until("it says why not", 'document.querySelector(".working strong") !== null', 25_000);
    return await page.text(".working");
  };
  const variant = async (change: Partial<Enrolment>): Promise<string> => {
    const enrolment = unwrap(decodeEnrolment((await scene.newDevice()).link));
    return encodeEnrolment({ ...enrolment, ...change });
  };

  test.for([20, -20])("a clock off by %i s does not matter", async (ahead) => {
    await withClock(ahead);
    await page.tap();
    await page.becomes("open");
    expect(await scene.shut()).toBe(false);
    await page.press("Close");
    await page.becomes("shut");
  });

  test.for([300, -300])("a clock off by %i s is found out, and gone by", async (ahead) => {
    await withClock(ahead);
    await page.tap();
    const direction = ahead > 0 ? "ahead of" : "behind";
    expect(await page.sheet(25_000)).toBe(`This device’s clock is about 5 minutes ${direction} the server’s`);
    expect(await scene.shut()).toBe(true);
    await page.press("Go by the server’s clock");
    await page.becomes("open");
    await page.press("Close");
    await page.becomes("shut");
    await page.click(".server > header button");
    await page.press("Go by this device’s clock");
    await page.until("it is stored", `(${CLOCK_AHEAD})().then((ahead) => ahead === 0)`);
  });

  test("a link that was used", async () => {
    const { id, link } = await scene.newDevice();
    await page.enrol(link);
    const text = await failsToEnrol(link);
    expect(text).toContain("This link has been used before");
    await scene.daemon.logged("enrolment-reused", { device: id });
    expect(await page.text(".server .where")).toBe(id);
  });

  test("UDP that is dropped, or a server that is down", async () => {
    await page.enrol((await scene.newDevice()).link);
    await scene.loseForTest("udp dport 62201");
    await page.tap();
    expect(await page.sheet(25_000)).toBe("No answer");
    expect(await page.text("dialog[open]")).toContain("blocks UDP");
    await page.press("Not now");
    expect(await page.state()).toBe("failed");
    await scene.lab.wire.lose(undefined);
    await page.tap();
    await page.becomes("open");
    await page.press("Close");
    await page.becomes("shut");
  });

  test("a policy that says no", async () => {
    const text = await failsToEnrol((await scene.newDevice("bob")).link);
    expect(text).toContain("The server says no");
  });

  test("a port below 1024", async () => {
    const text = await failsToEnrol(await variant({ port: unwrap(parsePort(123)) }));
    expect(text).toMatch(name === "chromium" ? "This browser refuses port 123" : /port 123: .*below 1024/);
  });

  if (name === "firefox") {
    test("a host name, which Firefox does not take", async () => {
      const text = await failsToEnrol(await variant({ addresses: ["server.example"] }));
      expect(text).toContain("This browser needs an IP address");
    });
  }

  test("a code that is wrong, then one that is right; asked for where only the service wants one", async () => {
    const uri = await scene.daemon.must("user", "otp", "add", "erin", "--uri");
    onTestFinished(async () => {
      await scene.daemon.must("user", "otp", "remove", "erin");
    });
    const totp = URI.parse(uri.trim()) as TOTP;
    await page.enrol((await scene.newDevice("erin")).link);
    await page.tap("vault");
    await page.fill("otp", String((Number(totp.generate()) + 1) % 1_000_000).padStart(6, "0"));
    await page.press("Open");
    await page.until(
      "it is refused",
      'document.querySelector("dialog[open] h2")?.textContent === "That code was not taken"',
    );
    await page.press("Try again");
    await page.fill("otp", totp.generate());
    await page.press("Open");
    await page.becomes("open", "vault");
  });

  test("a link that is cut short", async () => {
    const { link } = await scene.newDevice();
    await page.show(`#${link.slice(link.indexOf("#") + 1, -40)}`);
    expect(await page.sheet()).toBe("This is no enrolment link");
    expect(await page.text("dialog[open]")).not.toContain(link.slice(-60, -40));
  });

  test("replies off: sent, not confirmed, and open", async () => {
    await scene.daemon.configure({
      services: { ssh: { ports: ["tcp/22"], ttl: "6s" } },
      users: { dave: {} },
      tables: { server: { reply: "never" } },
    });
    await scene.daemon.restart();
    const { link } = await scene.newDevice("dave");
    await page.show(`#${link.slice(link.indexOf("#") + 1)}`);
    await page.press("Add");
    await page.until(
      "it says so",
      'document.querySelector("dialog[open] h2")?.textContent === "Sent, not confirmed"',
    );
    await page.press("OK");
    await page.tap();
    await page.until("it says so", 'document.querySelector(".status").textContent === "Sent, not confirmed"');
    expect(await scene.logsIn()).toBe(true);
  });
});

/** What the first profile adds to this device's clock. */
const CLOCK_AHEAD = `() => new Promise((resolve) => {
  const request = indexedDB.open("tock");
  request.onsuccess = () => {
    const all = request.result.transaction("profiles").objectStore("profiles").getAll();
    all.onsuccess = () => {
      request.result.close();
      resolve(all.result[0].clockAhead);
    };
  };
})`;

/** Moves the page's clock by what its address says. */
const CLOCK = `
  const ahead = Number(new URLSearchParams(location.search).get("ahead")) * 1000;
  const real = Date.now.bind(Date);
  Date.now = () => real() + ahead;`;
