import type { UnixMillis } from "../shared/brand.ts";
import { millisLeft, skewWindow, type Skew } from "../shared/time-step.ts";
import type { DeviceTable } from "./core/device-table.ts";
import type { ReplayWindow } from "./core/replay-window.ts";
import type { Journal } from "./store/journal.ts";

/** Devices derived at once (a quarter of a millisecond, a full one where all may knock): no packet waits for longer. */
const SLICE = 256;
/** Milliseconds between slices: 100,000 devices take two seconds, a million are ready before their step begins. */
const PAUSE = 4;
/** How soon a clock that was set is noticed: until its new steps are derived, nobody gets in. Each look wakes an idle machine. */
const LOOK = 2000;

export interface StepClockParts {
  readonly now: () => UnixMillis;
  readonly skew: Skew;
  readonly devices: DeviceTable;
  readonly replays: Pick<ReplayWindow<never>, "forget">;
  readonly journal: Pick<Journal, "forget">;
}

/** Moves everything that goes by time steps: tags are derived ahead of their step, what was used is forgotten after it. */
export class StepClock {
  readonly #parts: StepClockParts;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(parts: StepClockParts) {
    this.#parts = parts;
  }

  /** Derives every tag of the window at once, then keeps up with the clock. */
  start(): void {
    this.#parts.devices.advance(this.#parts.now());
    while (this.#parts.devices.work(SLICE) > 0);
    this.tick();
  }

  /** Follows the clock now, wherever it went; again when the step ends, or soon while there is work left. */
  tick(): void {
    if (this.#stopped) return;
    const { now, skew, devices, replays, journal } = this.#parts;
    const at = now();
    devices.advance(at);
    const steps = skewWindow(at, skew);
    const [oldest, newest] = [steps[0], steps.at(-1)];
    if (oldest !== undefined && newest !== undefined && journal.forget(oldest, newest).ok)
      replays.forget(oldest);
    const left = devices.work(SLICE);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.tick(), left > 0 ? PAUSE : Math.min(millisLeft(at), LOOK));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
