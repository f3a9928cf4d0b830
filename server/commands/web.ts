import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import type { Command } from "commander";
import { parsePort, quote } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { ioError } from "../../shared/io-error.ts";
import { unwrap } from "../../shared/result.ts";
import { readPage, readSite } from "../page-files.ts";
import { serveWeb } from "../web-server.ts";
import type { Context } from "./context.ts";

interface WebFlags {
  readonly out?: string;
  readonly site?: string;
  readonly listen?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** `tockd web`: the web client for this server's users, as a file, as a folder for a web server, or served. */
export function addWeb(program: Command, context: Context): void {
  program
    .command("web")
    .description("write or serve the web client, which works in any browser")
    .option("--out <file>", "write it as one file")
    .option("--site <folder>", "write it as a folder for a web server: the same page, installable as an app")
    .option("--listen <address:port>", "serve that folder, over https with --cert and --key")
    .option("--cert <file>", "TLS certificate chain, PEM")
    .option("--key <file>", "its private key, PEM")
    .addHelpText("after", HELP)
    .action(async (flags: WebFlags) => {
      if (flags.out === undefined && flags.site === undefined && flags.listen === undefined) {
        const hint = "for example tockd web --out tock.html, or --site /var/www/tock";
        throw new TockError("usage", "--out, --site or --listen: expected one of them, got none", hint);
      }
      if (flags.out !== undefined) write("--out", flags.out, readPage(), context);
      if (flags.site !== undefined) writeSite(flags.site, context);
      if (flags.listen !== undefined) await serve(flags.listen, flags, context);
    });
}

const HELP = `
Browsers keep secrets for pages from https, or from disk: over plain http the page refuses to. So give --cert and --key,
or listen on loopback behind a web server that has them.

Example:
  tockd web --site /var/www/tock
  tockd device add alice/phone --web https://www.example.org/tock/
`;

const WRITE_HINT = "name a place that is there and that you may write to";

function write(option: string, file: string, data: Buffer, { ui }: Context): void {
  try {
    writeFileSync(file, data);
  } catch (error) {
    throw ioError(`${option}: cannot write ${file}`, error, WRITE_HINT);
  }
  ui.out(`${createHash("sha256").update(data).digest("hex")}  ${file}\n`);
}

function writeSite(folder: string, context: Context): void {
  const site = readSite();
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw ioError(`--site: cannot write ${folder}`, error, WRITE_HINT);
  }
  for (const [name, data] of site) write("--site", join(folder, name), data, context);
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw ioError(`${option}: cannot read ${file}`, error, "name a PEM file that you may read");
  }
}

async function serve(listen: string, { cert, key }: WebFlags, { ui }: Context): Promise<void> {
  const { host, port } = parseListen(listen);
  if ((cert === undefined) !== (key === undefined)) {
    throw new TockError("usage", "--cert and --key: expected both or none", "a PEM file each");
  }
  const tls =
    cert === undefined || key === undefined
      ? undefined
      : { cert: readPem("--cert", cert), key: readPem("--key", key) };
  if (tls !== undefined) expectPair(tls);
  const server = unwrap(await serveWeb(readSite(), tls, host, port));
  const shown = host.includes(":") ? `[${host}]` : host;
  ui.out(`${tls === undefined ? "http" : "https"}://${shown}:${port}/\n`);
  if (tls === undefined)
    ui.note("tock: warning: over plain http the page keeps no secrets: put https in front of it\n");
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  server.close();
  server.closeAllConnections();
}

function expectPair(tls: { readonly cert: Buffer; readonly key: Buffer }): void {
  try {
    createSecureContext(tls);
  } catch {
    const hint = "the certificate first in its file, and a key that is not encrypted";
    throw new TockError(
      "invalid",
      "--cert and --key: expected a certificate chain and its private key, both PEM",
      hint,
    );
  }
}

/** `127.0.0.1:8080`, `[::]:8443`, `host:8443`. */
function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:]+)):([0-9]+)$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) {
    throw new TockError(
      "usage",
      `--listen: expected address:port, got ${quote(text)}`,
      "for example [::]:8443",
    );
  }
  return { host, port: unwrap(parsePort(match[3] ?? "")) };
}
