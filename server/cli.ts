#!/usr/bin/env node
import { main } from "./main.ts";

const { stdout, stderr, env } = process;

process.exitCode = await main(process.argv.slice(2), {
  out: (text) => stdout.write(text),
  note: (text) => stderr.write(text),
  columns: stdout.isTTY ? stdout.columns : undefined,
  colour: stdout.isTTY && (env["NO_COLOR"] ?? "") === "",
});
