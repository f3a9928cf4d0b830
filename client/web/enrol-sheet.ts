import { h } from "./dom.ts";
import type { OwnEngine, Problem } from "./engine.ts";
import { NEW_PASSPHRASE } from "./prompts.ts";
import { ask, makeForm, paragraphs, Sheet } from "./sheet.ts";
import { say } from "./live.ts";
import { wordsFor } from "./words.ts";

/** Shows what a link would add, and adds it. Resolves when that is done or given up. */
export async function enrol(own: OwnEngine, link: string): Promise<void> {
  const view = await own.readLink(link);
  if (typeof view === "string") return tell("This is no enrolment link", view, []);
  const sheet = new Sheet(`Add ${view.server}`);
  const facts = h(
    "dl",
    {},
    h("dt", {}, "This device becomes"),
    h("dd", {}, view.device),
    h("dt", {}, "Server"),
    h("dd", {}, view.addresses.join(", ")),
    h("dt", {}, "Opens"),
    h("dd", {}, view.services.join(", ")),
  );
  const passphrase = {
    ...NEW_PASSPHRASE,
    label: "Passphrase (optional)",
    hint: "Asked for at each use. Whoever has this device unlocked can otherwise use it as you can.",
    check: (value: string) => (value === "" ? undefined : NEW_PASSPHRASE.check?.(value)),
  };
  const status = h("p", { class: "working", role: "status" });
  // Only iOS has this property. What Safari stores it may erase after a week, and the app on the home screen sees none of it.
  const isBareSafari = (navigator as { standalone?: boolean }).standalone === false;
  const advice = isBareSafari
    ? [
        h(
          "p",
          {},
          "First add this page to the home screen. Then add the server in there, by pasting the same link.",
        ),
      ]
    : [];
  const form = makeForm(
    [passphrase],
    "Add",
    (values) => void add(values["new"] === "" ? undefined : values["new"]),
  );
  const add = async (chosen: string | undefined): Promise<void> => {
    form.inert = true;
    sheet.dialog.dataset["busy"] = "";
    status.textContent = "Agreeing on a new secret with the server…";
    const outcome = await own.enrol(link, chosen).catch(broken);
    form.inert = false;
    delete sheet.dialog.dataset["busy"];
    if (outcome.kind === "failed") {
      const { title, text, hints } = wordsFor(outcome.problem);
      status.replaceChildren(h("strong", {}, title), ...paragraphs(text, hints));
      return;
    }
    sheet.close();
    say(`${view.server} was added`);
    if (outcome.kind === "sent") {
      const text =
        "This server never answers, so nothing confirms that it knows this device. Open something to see.";
      await tell("Sent, not confirmed", text, []);
    }
  };
  sheet.body.append(...advice, facts, form, status);
  sheet.show();
  await sheet.closed();
}

/** Takes a link or a backup from the user. */
export async function add(own: OwnEngine): Promise<void> {
  const note = h("p", {}, "Paste the enrolment link, or scan its QR code with the camera of this device.");
  const file = h("input", { type: "file", id: "backup", accept: "application/json,.json", class: "file" });
  const restore = h("label", { class: "plain", for: "backup" }, "Restore a backup");
  let chosen: File | undefined;
  let link: string | undefined;
  const check = (value: string): string | undefined =>
    value.includes("#") ? undefined : "A link starts with tock://enroll or https://, and has a # in it.";
  const form = makeForm([{ name: "link", label: "Link", type: "link", check }], "Continue", (values) => {
    link = values["link"];
    sheet.close();
  });
  const sheet = new Sheet("Add a server", note, form, h("div", { class: "or" }, file, restore)).show();
  file.addEventListener("change", () => {
    chosen = file.files?.[0];
    sheet.close();
  });
  await sheet.closed();
  if (link !== undefined) await enrol(own, link);
  if (chosen !== undefined) await restoreFile(own, chosen);
}

async function restoreFile(own: OwnEngine, file: File): Promise<void> {
  const text = file.size < 100_000 ? await file.text() : "";
  const label = "Passphrase of the backup";
  const values = await ask(
    "Restore a backup",
    [],
    [{ ...NEW_PASSPHRASE, label, hint: "", autocomplete: "off" }],
    "Restore",
  );
  if (values === undefined) return;
  const outcome = await own.restore(text, values["new"] ?? "").catch(broken);
  if (outcome.kind === "failed") await tellProblem(outcome.problem);
  else say("Restored");
}

export async function tellProblem(problem: Problem): Promise<void> {
  const { title, text, hints } = wordsFor(problem);
  await tell(title, text, hints);
}

export async function tell(title: string, text: string, hints: readonly string[]): Promise<void> {
  const close = h("button", { type: "button", class: "primary", click: () => sheet.close() }, "OK");
  const sheet = new Sheet(title, ...paragraphs(text, hints), close).show();
  await sheet.closed();
}

export function broken(error: unknown): { readonly kind: "failed"; readonly problem: Problem } {
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", problem: { code: "other", message } };
}
