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

  open(id: string, service: string, { otp }: Given): Promise<Outcome> {
    return this.#call("open", { id, service, otp });
  }

  close(id: string, service: string): Promise<Outcome> {
    return this.#call("close", { id, service });
  }

  async sequence(id: string): Promise<Sequence | undefined> {
    return (await this.#call<Sequence | null>("sequence", { id })) ?? undefined;
  }

  check(id: string): Promise<CheckView | Problem> {
    return this.#call("check", { id });
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
