import { Chromium } from "./chromium.ts";
import { Firefox } from "./firefox.ts";
import type { Host } from "../../lab/host.ts";

export interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
}

/** A real browser on a host of the lab, with one tab. */
export interface Browser {
  readonly name: BrowserName;
  /** Runs before any script of every page from now on. */
  preload(script: string): Promise<void>;
  goto(url: string): Promise<void>;
  reload(): Promise<void>;
  /** The value of an expression in the page, awaited. */
  evaluate<T = unknown>(expression: string): Promise<T>;
  /** The addresses of all requests that pages made until now. */
  requests(): readonly string[];
  screenshot(look: Look): Promise<Buffer>;
  /** Ends the browser and starts it again with what it has stored. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const BROWSERS = ["chromium", "firefox"] as const;
export type BrowserName = (typeof BROWSERS)[number];

export function launch(name: BrowserName, host: Host): Promise<Browser> {
  return name === "chromium" ? Chromium.launch(host) : Firefox.launch(host);
}
