import { h } from "./dom.ts";
import type { Engine, Outcome, Problem, ServerView } from "./engine.ts";
import { given } from "./prompts.ts";
import { paragraphs, Sheet } from "./sheet.ts";
import { wordsFor } from "./words.ts";

/** Says what went wrong, and offers what may help. */
export async function showFailure(
  engine: Engine,
  server: ServerView,
  problem: Problem,
  way: { again: () => void; knocked?: (outcome: Outcome) => void },
): Promise<void> {
  const { title, text, hints } = wordsFor(problem);
  const sheet = new Sheet(title, ...paragraphs(text, hints));
  const { own } = engine;
  const then = (act: () => void) => () => {
    sheet.close();
    act();
  };
  const buttons: HTMLButtonElement[] = [];
  if (problem.code === "clock" && own !== undefined) {
    const ahead = Math.round(problem.ahead);
    buttons.push(
      button(
        "Go by the server’s clock",
        then(() => void own.setClock(server.id, ahead).then(way.again)),
      ),
    );
  }
  const { knocked } = way;
  if (problem.code === "no-answer" && own !== undefined && server.mayKnock && knocked !== undefined) {
    const knock = async (): Promise<void> => {
      const what = await given(server, { code: false }, "Knock");
      if (what !== undefined) knocked(await own.knock(server.id, what));
    };
    buttons.push(
      button(
        "Knock over TCP",
        then(() => void knock()),
      ),
    );
  }
  buttons.push(
    button("Try again", then(way.again), buttons.length === 0),
    button("Not now", () => sheet.close(), false),
  );
  sheet.body.append(h("div", { class: "choices" }, ...buttons));
  sheet.show();
  await sheet.closed();
}

function button(text: string, act: () => void, isFirst = true): HTMLButtonElement {
  return h("button", { type: "button", class: isFirst ? "primary" : "plain", click: act }, text);
}
