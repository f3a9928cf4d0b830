import { createInterface } from "node:readline";
import { TockError } from "../shared/errors.ts";

/** Somebody at a terminal who can be asked. */
export interface Person {
  /** The line that was typed. Rejects where the input ends. */
  ask(question: string): Promise<string>;
}

/** Asks on this process's own terminal. Ctrl-C ends the process, as everywhere. */
export function personAt(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Person {
  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        const lines = createInterface({ input, output, terminal: true, historySize: 0 });
        let isInterrupted = false;
        lines.once("SIGINT", () => {
          isInterrupted = true;
          lines.close();
        });
        lines.once("close", () => {
          if (isInterrupted) {
            output.write("\n");
            process.kill(process.pid, "SIGINT");
          } else reject(new TockError("usage", "stopped at the prompt", "tockd init --help shows the flags"));
        });
        lines.question(question, (answer) => {
          resolve(answer);
          lines.close();
        });
      }),
  };
}
