import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { ProfileStore } from "../profile-store.ts";
import { askLine } from "../prompt.ts";
import { dropKeyOf } from "../protection.ts";
import { EXIT, usage } from "../ui.ts";

const OPTIONS = {
  yes: { short: "y", help: "do not ask" },
} as const satisfies Options;

export const command = defineCommand({
  name: "forget",
  summary: "remove a profile with its secrets",
  words: ["<profile>"],
  options: OPTIONS,
  notes: ["The server does not learn of it: its administrator removes the device with tockd device remove."],
  examples: [["tock forget myserver", "asks first where there is a terminal"]],
  async run({ given, words }, ui) {
    const [name = ""] = words;
    const store = new ProfileStore();
    store.assertThere(name);
    const lock = lockOf(store, name);
    if (given.yes === undefined && process.stdin.isTTY) {
      const answer = await askLine(`forget ${name}? only a new link brings it back [y/N] `);
      if (!/^y(es)?$/i.test(answer ?? "")) throw usage(`kept ${name}`, "answer y, or give --yes");
    }
    await store.remove(name);
    if (lock !== undefined) await dropKeyOf(lock);
    ui.success(`forgot ${name}`);
    ui.data({ ok: true, profile: name });
    return EXIT.ok;
  },
});

/** Undefined for a profile in the clear, and for a damaged one, which can be forgotten too. */
function lockOf(store: ProfileStore, name: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const { keys } = store.load(name);
    return keys.kind === "sealed" ? keys.lock : undefined;
  } catch {
    return undefined;
  }
}
