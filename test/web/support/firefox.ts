import { mkdir, writeFile } from "node:fs/promises";
import type { Host } from "../../lab/host.ts";
import type { Process } from "../../lab/process.ts";
import { Bidi } from "./bidi.ts";
import type { Browser, Look } from "./browser.ts";

/** Nothing of this changes how pages behave: it keeps Firefox from talking to the world by itself. */
const PREFERENCES: Record<string, boolean | number | string> = {
  "app.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,none",
  "browser.sessionstore.resume_from_crash": false,
  "browser.startup.page": 0,
  "toolkit.startup.max_resumed_crashes": -1,
};

/** Debian's Firefox ESR as it is, driven by WebDriver BiDi. */
export class Firefox implements Browser {
  readonly name = "firefox";
  readonly #host: Host;
  readonly #profile: string;
  readonly #scripts: string[] = [];
  readonly #requests: string[] = [];
  #process: Process;
  #bidi: Bidi;
  #tab: string;

  private constructor(host: Host, profile: string, running: Running) {
    this.#host = host;
    this.#profile = profile;
    this.#process = running.process;
    this.#bidi = running.bidi;
    this.#tab = running.tab;
    this.#watch();
  }

  static async launch(host: Host): Promise<Firefox> {
    const profile = host.path(`firefox-${Math.random().toString(36).slice(2)}`);
    await mkdir(profile, { recursive: true, mode: 0o700 });
    const lines = Object.entries(PREFERENCES).map(
      ([key, value]) => `user_pref("${key}", ${JSON.stringify(value)});`,
    );
    await writeFile(`${profile}/user.js`, `${lines.join("\n")}\n`);
    return new Firefox(host, profile, await start(host, profile));
  }

  async preload(script: string): Promise<void> {
    this.#scripts.push(script);
    await this.#bidi.call("script.addPreloadScript", { functionDeclaration: `() => { ${script} }` });
  }

  async goto(url: string): Promise<void> {
    await this.#bidi.call("browsingContext.navigate", { context: this.#tab, url, wait: "complete" });
  }

  async reload(): Promise<void> {
    await this.#bidi.call("browsingContext.reload", { context: this.#tab, wait: "complete" });
  }

  async evaluate<T>(expression: string): Promise<T> {
    const result = await this.#bidi.call("script.evaluate", {
      expression: `(async () => JSON.stringify(await (${expression})))()`,
      target: { context: this.#tab },
      awaitPromise: true,
      userActivation: true,
    });
    if (result["type"] !== "success")
      throw new Error(`${expression}: ${JSON.stringify(result["exceptionDetails"])}`);
    const { value } = result["result"] as { value?: string };
    return (value === undefined ? undefined : JSON.parse(value)) as T;
  }

  requests(): readonly string[] {
    return this.#requests;
  }

  async screenshot({ width, height }: Look): Promise<Buffer> {
    await this.#bidi.call("browsingContext.setViewport", { context: this.#tab, viewport: { width, height } });
    const { data } = await this.#bidi.call("browsingContext.captureScreenshot", { context: this.#tab });
    return Buffer.from(String(data), "base64");
  }

  async restart(): Promise<void> {
    await this.#stop();
    const running = await start(this.#host, this.#profile);
    this.#process = running.process;
    this.#bidi = running.bidi;
    this.#tab = running.tab;
    this.#watch();
    for (const script of this.#scripts.splice(0)) await this.preload(script);
  }

  async close(): Promise<void> {
    await this.#stop();
  }

  async #stop(): Promise<void> {
    // Answers late or never; the process's end is what counts.
    this.#bidi.call("browser.close", {}, 5_000).catch(() => undefined);
    const patience = new Promise((resolve) => setTimeout(resolve, 6_000));
    await Promise.race([this.#process.exited, patience]);
    await this.#process.stop();
    this.#bidi.close();
  }

  #watch(): void {
    this.#bidi.onEvent((method, params) => {
      if (method !== "network.beforeRequestSent") return;
      this.#requests.push((params["request"] as { url: string }).url);
    });
  }
}

interface Running {
  readonly process: Process;
  readonly bidi: Bidi;
  readonly tab: string;
}

async function start(host: Host, profile: string): Promise<Running> {
  const flags = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "9222"];
  const process = host.start(["firefox-esr", ...flags], { env: { HOME: profile, MOZ_HEADLESS: "1" } });
  const [, url] = await process.waitFor(/WebDriver BiDi listening on (ws:\S+)/, 40_000);
  const bidi = await Bidi.connect(host.namespace, `${url}/session`);
  await bidi.call("session.new", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
  await bidi.call("session.subscribe", { events: ["network.beforeRequestSent"] });
  const { contexts } = await bidi.call("browsingContext.getTree");
  const tab = (contexts as { context: string }[])[0]?.context ?? "";
  await bidi.call("browsingContext.setViewport", { context: tab, viewport: { width: 390, height: 844 } });
  return { process, bidi, tab };
}
