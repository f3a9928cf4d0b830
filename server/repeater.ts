/** Does something again and again as long as there is need of it, so that an idle machine may sleep. */
export class Repeater {
  readonly #act: () => boolean;
  readonly #every: number;
  #timer: NodeJS.Timeout | undefined;

  /** `act` says whether it is to be done again `every` ms later. */
  constructor(act: () => boolean, every: number) {
    this.#act = act;
    this.#every = every;
  }

  /** Begins in `every` ms, unless it has begun already. */
  start(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#act()) this.start();
    }, this.#every);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
