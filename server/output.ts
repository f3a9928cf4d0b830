import type { ExitCode } from "./ui.ts";

/**
 * A command whose reader went away (`tockd events | head`) ends without a word; whatever else keeps it from writing is told
 * once. The daemon goes on: nobody's log is worth a door that does not open.
 */
export function watchOutput(streams: readonly NodeJS.WriteStream[], exit: (code: ExitCode) => void): void {
  for (const stream of streams) {
    stream.on("error", ({ code, message }: NodeJS.ErrnoException) => {
      if (goesOn) return;
      if (code === "EPIPE") return exit(0);
      process.stderr.write(`tock: error: the output cannot be written: ${code ?? message}\n`);
      exit(1);
    });
  }
}

let goesOn = false;

/** From now on what cannot be written is lost. */
export function goOnWithoutOutput(): void {
  goesOn = true;
}
