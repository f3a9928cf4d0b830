import { tellProblem } from "./enrol-sheet.ts";
import { h } from "./dom.ts";
import type { Engine, ServerView } from "./engine.ts";
import { given } from "./prompts.ts";
import { longTime, Ring } from "./ring.ts";
import { Sheet } from "./sheet.ts";

const STEP_MS = 30_000;

/** The knock sequence of now, for those who knock by hand, with the time that it has left. */
export async function showSequence(engine: Engine, server: ServerView): Promise<void> {
  const what = await given(server, { code: false }, "Show");
  if (what === undefined) return;
  const ring = new Ring();
  const ports = h("ol", { class: "sequence" });
  const note = h("p", { class: "hint" }, "Connect to these TCP ports in this order, once each.");
  const sheet = new Sheet(
    `Knock on ${server.name}`,
    h("div", { class: "sequence-head" }, ring.element, note),
    ports,
  );
  let end = 0;
  const refresh = async (): Promise<boolean> => {
    const sequence = await engine.sequence(server.id, what);
    if (sequence === undefined) return false;
    end = Date.now() + sequence.left;
    ports.replaceChildren(...sequence.ports.map((port) => h("li", {}, String(port))));
    return true;
  };
  if (!(await refresh())) return tellProblem({ code: server.locked ? "wrong-passphrase" : "damaged" });
  const tick = (): void => {
    const left = end - Date.now();
    ring.show(Math.max(0, left) / STEP_MS, Math.max(0, Math.ceil(left / 1000)));
    ring.element.setAttribute("aria-label", `${longTime(left / 1000)} left`);
    if (left <= 0) {
      end = Date.now() + 1_000;
      void refresh();
    }
  };
  tick();
  const timer = setInterval(tick, 250);
  sheet.show();
  await sheet.closed();
  clearInterval(timer);
}
