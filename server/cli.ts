#!/usr/bin/env node
import { hostname } from "node:os";
import { unixMillis } from "../shared/brand.ts";
import { personAt } from "./person.ts";
import { main } from "./main.ts";
import { watchOutput } from "./output.ts";

const { stdin, stdout, stderr, env } = process;

watchOutput([stdout, stderr]);
process.exitCode = await main(process.argv.slice(2), {
  ui: {
    out: (text) => stdout.write(text),
    note: (text) => stderr.write(text),
    columns: stdout.isTTY ? stdout.columns : undefined,
    colour: stdout.isTTY && (env["NO_COLOR"] ?? "") === "",
  },
  now: () => unixMillis(Date.now()),
  random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
  hostname: hostname(),
  person: stdin.isTTY && stdout.isTTY ? personAt(stdin, stdout) : undefined,
});
