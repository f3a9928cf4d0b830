import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { readPage } from "../page-file.ts";
import { openBrowser } from "../ui-server/open-browser.ts";
import { serveUi } from "../ui-server/server.ts";
import { EXIT } from "../ui.ts";
import { wholeNumber } from "../values.ts";

const OPTIONS = {
  port: { value: "number", help: "the port on 127.0.0.1; otherwise one that is free" },
  "no-browser": { help: "print the address only" },
} as const satisfies Options;

export const command = defineCommand({
  name: "ui",
  summary: "show the profiles in a browser, and open from there",
  words: [],
  options: OPTIONS,
  notes: [
    "The page is served to this machine alone, under an address with a secret in it, until Ctrl-C.\nThe profiles and their secrets stay with this program, which sends the packets itself.",
  ],
  examples: [["tock ui", "a window for those who prefer one"]],
  async run({ given }, ui) {
    const server = await serveUi(readPage(), wholeNumber("port", given.port, 1, 65_535) ?? 0);
    ui.line(server.url);
    ui.data({ ok: true, url: server.url });
    ui.hint("keep the address to yourself: it opens what your profiles open; Ctrl-C ends it");
    const failed = (): void => ui.warn("no browser could be started; open the address above in one");
    const clean = given["no-browser"] ? () => undefined : openBrowser(server.url, failed);
    await new Promise<void>((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
    });
    clean();
    await server.close();
    return EXIT.ok;
  },
});
