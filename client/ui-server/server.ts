import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { TockError } from "../../shared/errors.ts";
import { API, type Call } from "./api.ts";

const MOST_BODY = 4096;

/** The page on loopback, under a path that nobody can guess. */
export interface UiServer {
  /** `http://127.0.0.1:PORT/TOKEN/`: whoever has it can open what the profiles can. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves the page and its calls on 127.0.0.1. A request counts only with the token in its path and our own name as its
 * Host, so that neither another program's page nor a name that is pointed at loopback gets through; a call only with our
 * own Origin as well.
 */
export async function serveUi(page: string, port: number): Promise<UiServer> {
  const token = randomBytes(24).toString("base64url");
  const html = localPage(page);
  let host = "";
  const server = createServer((request, response) => {
    handle(request, { token, host, html }).then(
      (answer) => send(response, answer),
      () => send(response, { status: 500, type: "text/plain", body: "" }),
    );
  });
  await listen(server, port);
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}/${token}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The same page, told to ask this server, and let to. */
export function localPage(page: string): string {
  const own = page
    .replace("connect-src 'none'", "connect-src 'self'")
    .replace("</title>", '</title>\n<meta name="tock-ui" content="">');
  if (!own.includes("connect-src 'self'") || !own.includes("tock-ui"))
    throw new Error("tock.html is of another kind");
  return own;
}

interface Own {
  readonly token: string;
  readonly host: string;
  readonly html: string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const NOTHING: Answer = { status: 404, type: "text/plain", body: "" };

async function handle(request: IncomingMessage, { token, host, html }: Own): Promise<Answer> {
  const { headers, method, url = "" } = request;
  const [, given = "", ...rest] = url.split("/");
  if (headers.host !== host || !isSame(given, token)) return NOTHING;
  const path = rest.join("/");
  if (path === "" && method === "GET") return { status: 200, type: "text/html; charset=utf-8", body: html };
  const name = /^api\/([a-z]+)$/.exec(path)?.[1] ?? "";
  const call = Object.hasOwn(API, name) ? API[name] : undefined;
  const isOwn = headers.origin === `http://${host}` && headers["content-type"] === "application/json";
  if (call === undefined || method !== "POST" || !isOwn) return NOTHING;
  const body = await readBody(request);
  const value = body === undefined ? undefined : parseCall(body);
  if (value === undefined) return { ...NOTHING, status: 400 };
  return {
    status: 200,
    type: "application/json",
    body: JSON.stringify((await attempt(call, value)) ?? null),
  };
}

/** What the user can do something about goes to the page as a problem; anything else is a bug, and ends the call. */
async function attempt(call: (value: Call) => Promise<unknown>, value: Call): Promise<unknown> {
  try {
    return await call(value);
  } catch (error) {
    if (!(error instanceof TockError)) throw error;
    const message = error.hint === undefined ? error.message : `${error.message}: ${error.hint}`;
    const isPassphrase = value.passphrase !== undefined && /passphrase/.test(error.message);
    const problem = isPassphrase ? { code: "wrong-passphrase" } : { code: "other", message };
    return { kind: "failed", problem, ...problem };
  }
}

function parseCall(body: string): Call | undefined {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { id, service, otp, passphrase } = json as Record<string, unknown>;
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const isCode = typeof otp === "number" && Number.isInteger(otp) && otp >= 0 && otp <= 999_999;
  return {
    id: text(id),
    service: text(service),
    otp: isCode ? otp : undefined,
    passphrase: typeof passphrase === "string" ? passphrase : undefined,
  };
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    "content-type": type,
    "cache-control": "no-store",
    "content-security-policy": "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve());
  });
}
