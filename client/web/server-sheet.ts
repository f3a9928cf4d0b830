import { h } from "./dom.ts";
import { broken, tell, tellProblem } from "./enrol-sheet.ts";
import type { Engine, Given, OwnEngine, ServerView } from "./engine.ts";
import { showSequence } from "./sequence-sheet.ts";
import { given, NEW_PASSPHRASE } from "./prompts.ts";
import { longTime } from "./ring.ts";
import { ask, type Field, Sheet } from "./sheet.ts";

/** Everything about one server that is not opening. Resolves when it is closed. */
export async function showServer(engine: Engine, server: ServerView): Promise<void> {
  const { own } = engine;
  const sheet = new Sheet(server.name);
  let chosen: (() => Promise<void>) | undefined;
  const item = (text: string, note: string, act: () => Promise<void>): HTMLElement =>
    h(
      "button",
      {
        type: "button",
        class: "item",
        click: () => {
          chosen = act;
          sheet.close();
        },
      },
      h("span", {}, text),
      h("small", {}, note),
    );
  const items = [
    item("Check the connection", "Clock, and the address that the server sees", () =>
      checkServer(engine, server),
    ),
    ...(server.mayKnock
      ? [item("Knock sequence", "The ports of this half minute", () => showSequence(engine, server))]
      : []),
    ...(own === undefined ? [] : ownItems(own, server, item)),
  ];
  const where = `${server.device} · ${server.addresses.join(", ")} · udp/${server.port}`;
  sheet.body.append(h("p", { class: "where" }, where), h("div", { class: "items" }, ...items));
  sheet.show();
  await sheet.closed();
  await chosen?.();
}

type Item = (text: string, note: string, act: () => Promise<void>) => HTMLElement;

function ownItems(own: OwnEngine, server: ServerView, item: Item): HTMLElement[] {
  const lock: [string, string] = server.locked
    ? ["Remove the passphrase", "From then on nothing is asked"]
    : ["Set a passphrase", "Asked for at each use"];
  return [
    item("Rename", server.name, () => rename(own, server)),
    item("Login name", server.login === "" ? "For the ssh command" : server.login, () =>
      setLogin(own, server),
    ),
    ...(server.clockAhead === 0
      ? []
      : [
          item(
            "Go by this device’s clock",
            `Now by the server’s, ${longTime(Math.abs(server.clockAhead) / 1000)} apart`,
            () => own.setClock(server.id, 0),
          ),
        ]),
    ...(server.isStatic
      ? []
      : [
          item(...lock, () => changePassphrase(own, server)),
          item("Back up", "A file under a passphrase, to move to another browser", () => backUp(own, server)),
        ]),
    item("Remove", "Forgets its secret on this device", () => remove(own, server)),
  ];
}

async function checkServer(engine: Engine, server: ServerView): Promise<void> {
  const what = await given(server, { code: false }, "Check");
  if (what === undefined) return;
  const result = await engine.check(server.id, what);
  if ("code" in result) return tellProblem(result);
  const { ahead } = result;
  const clock =
    Math.abs(ahead) < 3
      ? "Its clock and this device’s agree."
      : `This device’s clock is ${longTime(Math.abs(ahead))} ${ahead > 0 ? "behind" : "ahead of"} the server’s; more than 30 seconds are too much.`;
  const seen = result.seen.map((address) => `It sees you as ${address}.`);
  await tell(`${server.name} answers`, clock, seen);
}

async function rename(own: OwnEngine, server: ServerView): Promise<void> {
  const check = (value: string): string | undefined => (value.trim() === "" ? "Give it a name." : undefined);
  const field: Field = { name: "name", label: "Name", value: server.name, check };
  const values = await ask(`Rename ${server.name}`, [], [field], "Rename");
  if (values !== undefined) await own.rename(server.id, values["name"] ?? "");
}

async function setLogin(own: OwnEngine, server: ServerView): Promise<void> {
  const check = (value: string): string | undefined =>
    /^[A-Za-z0-9._-]{0,64}$/.test(value.trim()) ? undefined : "Letters, digits, dot, - and _.";
  const field: Field = { name: "login", label: "Login name", value: server.login, check };
  const values = await ask(`Log in to ${server.name} as`, [], [field], "Save");
  if (values !== undefined) await own.setLogin(server.id, values["login"] ?? "");
}

async function changePassphrase(own: OwnEngine, server: ServerView): Promise<void> {
  const what = await given(server, { code: false }, "Unlock");
  if (what === undefined) return;
  const values = server.locked ? {} : await ask("Set a passphrase", [], [NEW_PASSPHRASE], "Set");
  if (values === undefined) return;
  await report(own.setPassphrase(server.id, what, values["new"]), "Done", "");
}

async function backUp(own: OwnEngine, server: ServerView): Promise<void> {
  const intro = h(
    "p",
    {},
    "The file can be restored in another browser. Then use one of the two: each new secret that one of them agrees on makes the other one worthless.",
  );
  const what: Given | undefined = await given(server, { code: false }, "Unlock");
  if (what === undefined) return;
  const values = await ask("Back up", [intro], [NEW_PASSPHRASE], "Back up");
  if (values === undefined) return;
  const text = await own.backUp(server.id, what, values["new"] ?? "");
  if (typeof text !== "string") return tellProblem(text);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  h("a", { href: url, download: `tock-${server.name}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function remove(own: OwnEngine, server: ServerView): Promise<void> {
  const warning = h(
    "p",
    {},
    "Its secret is erased here. To come back you need a new link from the administrator.",
  );
  const values = await ask(`Remove ${server.name}?`, [warning], [], "Remove");
  if (values !== undefined) await own.remove(server.id);
}

async function report(work: ReturnType<OwnEngine["restore"]>, title: string, text: string): Promise<void> {
  const outcome = await work.catch(broken);
  if (outcome.kind === "failed") await tellProblem(outcome.problem);
  else if (outcome.kind === "sent") await tell("Sent, not confirmed", "This server never answers.", []);
  else if (text !== "") await tell(title, text, []);
}
