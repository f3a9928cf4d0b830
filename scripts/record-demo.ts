import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { drawRecording, type RecordedLine } from "./demo/recording.ts";

/**
 * Runs the demo on a pseudo-terminal and draws what it printed as docs/demo.svg. Run it as root, like the demo:
 *
 *     node scripts/record-demo.ts
 */
const demo = fileURLToPath(new URL("demo.ts", import.meta.url));
const picture = fileURLToPath(new URL("../docs/demo.svg", import.meta.url));

const command = `stty cols 96 rows 40 && '${process.execPath}' '${demo}'`;
const child = spawn("script", ["-qefc", command, "/dev/null"], {
  env: { ...process.env, TERM: "xterm-256color", FORCE_COLOR: "1" },
  stdio: ["ignore", "pipe", "inherit"],
});

const lines: RecordedLine[] = [];
const start = performance.now();
let pending = "";
child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
  process.stdout.write(chunk);
  pending += chunk;
  const complete = pending.split("\n");
  pending = complete.pop() ?? "";
  for (const line of complete) lines.push({ at: performance.now() - start, text: lastWritten(line) });
});

const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
if (code !== 0) {
  console.error(`tock: error: the demo ended with exit code ${code}, so there is nothing to draw`);
  process.exit(1);
}
await writeFile(picture, drawRecording(lines, "npm run demo"));
console.log(`wrote ${picture}`);

/** What is left of a line that was written over with carriage returns. */
function lastWritten(line: string): string {
  return (line.replace(/\r+$/, "").split("\r").at(-1) ?? "").replace("\u001b[K", "");
}
