import type { CheckView, Engine, Given, Outcome, Problem, Sequence, ServerView } from "./engine.ts";

/**
 * The engine of `tock ui`: the program on this computer keeps the secrets and sends the packets, and the page asks it
 * over loopback. The token in the page's own address is what lets it.
 */
export class LocalEngine implements Engine {
  readonly own = undefined;
  readonly #base: URL;

  constructor(base: URL) {
    this.#base = base;
  }

  list(): Promise<readonly ServerView[]> {
    return this.#call("list", {});
  }

  open(id: string, service: string, given: Given): Promise<Outcome> {
    return this.#call("open", { id, service, ...given });
  }

  close(id: string, service: string, given: Given): Promise<Outcome> {
    return this.#call("close", { id, service, ...given });
  }

  async sequence(id: string, given: Given): Promise<Sequence | undefined> {
    const answer = await this.#call<Partial<Sequence>>("sequence", { id, ...given });
    const { ports, left } = answer;
    return ports === undefined || left === undefined ? undefined : { ports, left };
  }

  check(id: string, given: Given): Promise<CheckView | Problem> {
    return this.#call("check", { id, ...given });
  }

  async #call<T>(method: string, body: object): Promise<T> {
    const response = await fetch(new URL(`api/${method}`, this.#base), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }).catch(() => undefined);
    if (response?.ok !== true) throw new Error("tock ui has ended; start it again");
    return (await response.json()) as T;
  }
}
