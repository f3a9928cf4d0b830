import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";

/** A plain static host, run inside a namespace: `web-server.ts FOLDER PORT [KEY CERTIFICATE]`. */
const [folder = "", port = "0", key, certificate] = process.argv.slice(2);
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

const listener: RequestListener = (request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://host");
  const name = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
  readFile(join(folder, name)).then(
    (body) => response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "text/plain" }).end(body),
    () => response.writeHead(404).end(),
  );
};
const server =
  key === undefined || certificate === undefined
    ? createHttp(listener)
    : createHttps({ key: readFileSync(key), cert: readFileSync(certificate) }, listener);
server.listen(Number(port), "::", () => console.log("listening"));
