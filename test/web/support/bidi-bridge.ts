import { createInterface } from "node:readline";

/** Runs inside a namespace: lines of standard input go to a WebSocket there, and its messages come out as lines. */
const socket = new WebSocket(process.argv[2] ?? "");
socket.addEventListener("message", ({ data }) => process.stdout.write(`${String(data)}\n`));
socket.addEventListener("open", () => {
  process.stdout.write("ready\n");
  createInterface({ input: process.stdin }).on("line", (line) => socket.send(line));
});
socket.addEventListener("close", () => process.exit(0));
socket.addEventListener("error", () => process.exit(1));
