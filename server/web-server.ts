import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import { extname } from "node:path";
import { ioError } from "../shared/io-error.ts";
import { err, ok, type Result } from "../shared/result.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

/** Serves a handful of files out of memory, over TLS where there is a key. It takes GET and HEAD, and nothing else. */
export function makeWebServer(
  files: ReadonlyMap<string, Buffer>,
  tls: { readonly key: Buffer; readonly cert: Buffer } | undefined,
): Server {
  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    answer(files, request, response);
  const server = tls === undefined ? createHttp(listener) : createHttps(tls, listener);
  server.requestTimeout = 10_000;
  server.maxConnections = 256;
  return server;
}

/** A web server that listens already. `tls` that is no key and certificate is thrown, as an error of OpenSSL. */
export async function serveWeb(
  files: ReadonlyMap<string, Buffer>,
  tls: { readonly key: Buffer; readonly cert: Buffer } | undefined,
  host: string,
  port: number,
): Promise<Result<Server>> {
  const server = makeWebServer(files, tls);
  try {
    await new Promise<void>((resolve, reject) => {
      // Errors that come once it listens fall silent here: a caller is not served, the others are.
      server.on("error", reject);
      server.listen(port, host, () => resolve());
    });
    return ok(server);
  } catch (error) {
    const shown = host.includes(":") ? `[${host}]` : host;
    const hint = "for example 127.0.0.1:8080, or [::]:8443 for all of this machine's addresses";
    return err(ioError(`--listen: cannot listen on ${shown}:${port}`, error, hint));
  }
}

function answer(
  files: ReadonlyMap<string, Buffer>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  const name = path === "/" ? "index.html" : path.slice(1);
  const isRead = request.method === "GET" || request.method === "HEAD";
  const body = isRead ? files.get(name) : undefined;
  response.writeHead(body === undefined ? 404 : 200, {
    "content-type": TYPES[extname(name)] ?? "text/plain",
    "content-length": body?.length ?? 0,
    "cache-control": "no-cache",
    // What the page's own policy cannot say, or what a browser should know before it reads the page.
    "content-security-policy": "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
