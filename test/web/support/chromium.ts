import { mkdir, writeFile } from "node:fs/promises";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import type { Host } from "../../lab/host.ts";
import { inside } from "../../lab/host.ts";
import type { Browser, Look } from "./browser.ts";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-features=Translate,MediaRouter",
  "--ignore-certificate-errors",
];

/** Debian's Chromium, driven over its debugging pipe, which reaches into the namespace where a port would not. */
export class Chromium implements Browser {
  readonly name = "chromium";
  readonly #host: Host;
  readonly #folder: string;
  readonly #scripts: string[] = [];
  readonly #requests: string[] = [];
  #context: BrowserContext;
  #page: Page;

  private constructor(host: Host, folder: string, context: BrowserContext, page: Page) {
    this.#host = host;
    this.#folder = folder;
    this.#context = context;
    this.#page = page;
    this.#watch();
  }

  static async launch(host: Host): Promise<Chromium> {
    const folder = host.path(`chromium-${Math.random().toString(36).slice(2)}`);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const context = await start(host, folder);
    return new Chromium(host, folder, context, context.pages()[0] ?? (await context.newPage()));
  }

  /** The page itself, for what only real input can show. */
  get page(): Page {
    return this.#page;
  }

  async preload(script: string): Promise<void> {
    this.#scripts.push(script);
    await this.#context.addInitScript(script);
  }

  async goto(url: string): Promise<void> {
    await this.#page.goto(url);
  }

  async reload(): Promise<void> {
    await this.#page.reload();
  }

  async evaluate<T>(expression: string): Promise<T> {
    return await this.#page.evaluate<T>(expression);
  }

  requests(): readonly string[] {
    return this.#requests;
  }

  async screenshot({ width, height, scheme }: Look): Promise<Buffer> {
    await this.#page.emulateMedia({ colorScheme: scheme });
    await this.#page.setViewportSize({ width, height });
    return await this.#page.screenshot();
  }

  async restart(): Promise<void> {
    await this.#context.close();
    this.#context = await start(this.#host, this.#folder);
    for (const script of this.#scripts) await this.#context.addInitScript(script);
    this.#page = this.#context.pages()[0] ?? (await this.#context.newPage());
    this.#watch();
  }

  async close(): Promise<void> {
    await this.#context.close();
  }

  #watch(): void {
    this.#context.on("request", (request) => this.#requests.push(request.url()));
  }
}

async function start(host: Host, folder: string): Promise<BrowserContext> {
  const wrapper = `${folder}.sh`;
  const [program, ...args] = inside(host.namespace, ["chromium"]);
  await writeFile(wrapper, `#!/bin/sh\nexec ${program} ${args.join(" ")} "$@"\n`, { mode: 0o755 });
  return await chromium.launchPersistentContext(folder, {
    executablePath: wrapper,
    headless: true,
    args: FLAGS,
    env: { ...process.env, HOME: host.folder },
    ignoreHTTPSErrors: true,
    viewport: { width: 390, height: 844 },
    timeout: 40_000,
  });
}
