import { App } from "./app.ts";
import { BrowserEngine } from "./browser-engine.ts";
import { h } from "./dom.ts";
import type { Engine, Problem } from "./engine.ts";
import { LocalEngine } from "./local-engine.ts";
import { paragraphs } from "./sheet.ts";
import { Store } from "./store.ts";
import { wordsFor } from "./words.ts";

/** Takes the fragment, which holds a secret, out of the address bar and the history. */
function takeFragment(): string | undefined {
  const { hash, href } = location;
  if (hash.length <= 1) return undefined;
  history.replaceState(undefined, "", location.pathname + location.search);
  return href;
}

async function start(link: string | undefined): Promise<void> {
  const main = document.querySelector<HTMLElement>("main");
  const bar = document.querySelector<HTMLElement>("body > header");
  if (main === null || bar === null) return;
  const engine = await makeEngine();
  if ("code" in engine) {
    const { title, text, hints } = wordsFor(engine);
    main.replaceChildren(h("div", { class: "welcome" }, h("h2", {}, title), ...paragraphs(text, hints)));
    return;
  }
  const app = new App(engine, main, bar);
  await app.refresh();
  window.addEventListener("hashchange", () => {
    const next = takeFragment();
    if (next !== undefined) void app.enrol(next);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void app.refresh();
  });
  if (link !== undefined) await app.enrol(link);
}

async function makeEngine(): Promise<Engine | Problem> {
  if (document.querySelector('meta[name="tock-ui"]') !== null)
    return new LocalEngine(new URL(".", location.href));
  // On plain http there is no key that scripts cannot read, and whoever is on the way can change this very script.
  if (!isSecureContext || (crypto as Partial<Crypto>).subtle === undefined) return { code: "insecure" };
  if (typeof RTCPeerConnection === "undefined") return { code: "no-webrtc" };
  try {
    const store = await Store.open();
    // A request that the browser may decline; nothing waits for it.
    void (navigator as Partial<Navigator>).storage?.persist?.().catch(() => undefined);
    return new BrowserEngine(store);
  } catch {
    return { code: "no-storage" };
  }
}

const link = takeFragment();
if (document.querySelector('link[rel="manifest"]') !== null) {
  void (navigator as Partial<Navigator>).serviceWorker?.register("sw.js").catch(() => undefined);
}
void start(link);
