import type { Command } from "commander";
import { TockError } from "../../shared/errors.ts";
import type { Context } from "./context.ts";
import { eventText } from "./events.ts";
import { grantTable } from "./grants.ts";
import { look, SOCKET_FLAG } from "./look.ts";
import { statusText, troublesOf } from "./status.ts";

const ESC = "\u001b[";
/** The other screen, without a cursor; and back. */
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
const EVENTS = 200;

/** `tockd top`: status, grants and events on one screen, as they change. Ends with q, Ctrl-C or SIGTERM. */
export function addTop(program: Command, context: Context): void {
  const { ui } = context;
  program
    .command("top")
    .description("status, grants and events on one screen, as they change; q ends it")
    .option(...SOCKET_FLAG)
    .addHelpText("after", "\nExamples:\n  tockd top\n  ssh -t root@myserver tockd top\n")
    .action(async (_flags: object, command: Command) => {
      if (ui.columns === undefined) {
        throw new TockError(
          "usage",
          "top: expected a terminal",
          "for scripts: tockd status --json, tockd events -f --json",
        );
      }
      await look(command, "status", undefined);
      const events: string[] = [];
      const end = new AbortController();
      const stop = (): void => end.abort();
      const follow = look(
        command,
        "events",
        { follow: true, since: context.now() - 3600_000 },
        (line) => {
          events.push(eventText((line as { readonly event: Record<string, unknown> }).event).trimEnd());
          if (events.length > EVENTS) events.shift();
        },
        end.signal,
      );
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, stop);
      const keys = readKeys(stop);
      ui.out(ENTER);
      try {
        // Its own end, as when the daemon stops, ends the view.
        const gone = follow.then(stop, stop);
        while (!end.signal.aborted) {
          ui.out(await screen(command, context, events));
          await Promise.race([gone, pause(1000, end.signal)]);
        }
      } finally {
        ui.out(LEAVE);
        keys();
        end.abort();
        for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, stop);
      }
      await follow;
    });
}

/** One picture: home, each line cleared to its end, the rest cleared. */
async function screen(command: Command, context: Context, events: readonly string[]): Promise<string> {
  // A terminal that does not tell its size has none.
  const columns = process.stdout.columns || 80;
  const rows = process.stdout.rows || 24;
  const status = await look(command, "status", undefined);
  const grants = await look(command, "grants", undefined);
  const bold = (text: string): string => (context.ui.colour ? `${ESC}1m${text}${ESC}0m` : text);
  const red = (text: string): string => (context.ui.colour ? `${ESC}31m${text}${ESC}0m` : text);
  const cut = (text: string): string => text.slice(0, columns);
  const lines = [
    ...statusText(status).trimEnd().split("\n").map(cut),
    ...troublesOf(status, context.now()).map((trouble) => red(cut(`! ${trouble}`))),
    "",
    ...(grants.length === 0
      ? [bold("nothing is open")]
      : grantTable(grants)
          .trimEnd()
          .split("\n")
          .map((line, index) => (index === 0 ? bold(cut(line)) : cut(line)))),
    "",
    bold("events of the last hour"),
  ];
  const room = Math.max(0, rows - lines.length - 1);
  lines.push(...(room === 0 ? [] : events.slice(-room)).map(cut));
  return `${ESC}H${lines
    .slice(0, rows - 1)
    .map((line) => `${line}${ESC}K\r\n`)
    .join("")}${ESC}J`;
}

/** Calls `stop` for q and Ctrl-C. Gives what puts the terminal back. */
function readKeys(stop: () => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  stdin.setRawMode(true);
  const pressed = (bytes: Buffer): void => {
    if (bytes.includes("q") || bytes.includes(3)) stop();
  };
  stdin.on("data", pressed).resume();
  return () => {
    stdin.off("data", pressed).pause();
    stdin.setRawMode(false);
  };
}

function pause(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, millis);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
