/**
 * A command whose reader went away (`tockd device list | head`) goes on without a word to the end of what it was asked, above all where
 * that is the guard; whatever else keeps it from writing is told once, and is exit code 1. One that only shows what comes ends.
 */
export function watchOutput(streams: readonly NodeJS.WriteStream[]): void {
  for (const stream of streams) {
    stream.on("error", ({ code, message }: NodeJS.ErrnoException) => {
      if (code === "EPIPE" || onLoss === "go on") {
        if (onLoss === "end") process.exit(0);
        return;
      }
      if (!isTold) {
        isTold = true;
        process.stderr.write(`tock: error: the output cannot be written: ${code ?? message}\n`);
        process.once("exit", () => (process.exitCode ||= 1));
      }
      if (onLoss === "end") process.exit(1);
    });
  }
}

let onLoss: "finish" | "end" | "go on" = "finish";
let isTold = false;

/** From now on nothing is worth doing without a reader. */
export function endWithoutReader(): void {
  onLoss = "end";
}

/** From now on what cannot be written is lost: nobody's log is worth a door that does not open. */
export function goOnWithoutOutput(): void {
  onLoss = "go on";
}
