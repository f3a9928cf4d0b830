import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { inside } from "../../lab/host.ts";

interface Message {
  readonly id?: number;
  readonly type: "success" | "error" | "event";
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: string;
  readonly message?: string;
}

/** A WebDriver BiDi connection (W3C) to a browser inside a namespace. */
export class Bidi {
  readonly #bridge: ChildProcess;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners: ((method: string, params: Record<string, unknown>) => void)[] = [];
  #last = 0;

  private constructor(bridge: ChildProcess) {
    this.#bridge = bridge;
  }

  static async connect(namespace: string, url: string): Promise<Bidi> {
    const script = fileURLToPath(new URL("bidi-bridge.ts", import.meta.url));
    const [program, ...args] = inside(namespace, [process.execPath, script, url]);
    const bridge = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    const bidi = new Bidi(bridge);
    await new Promise<void>((resolve, reject) => {
      bridge.once("exit", () => reject(new Error("the bridge to the browser ended")));
      createInterface({ input: bridge.stdout }).on("line", (line) => {
        if (line === "ready") resolve();
        else bidi.#take(JSON.parse(line) as Message);
      });
    });
    return bidi;
  }

  onEvent(listener: (method: string, params: Record<string, unknown>) => void): void {
    this.#listeners.push(listener);
  }

  async call(method: string, params: object = {}, timeout = 60_000): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    const message = await new Promise<Message>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer within ${timeout} ms`)), timeout);
      this.#waiting.set(id, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
      this.#bridge.stdin?.write(`${JSON.stringify({ id, method, params })}\n`);
    });
    if (message.type === "error") throw new Error(`${method}: ${message.error}: ${message.message}`);
    return message.result ?? {};
  }

  close(): void {
    this.#bridge.kill();
  }

  #take(message: Message): void {
    if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
    else if (message.method !== undefined) {
      for (const listener of this.#listeners) listener(message.method, message.params ?? {});
    }
  }
}
