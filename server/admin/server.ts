import { once } from "node:events";
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Call, Handlers } from "./methods.ts";

const MAX_REQUEST = 64 * 1024;
const MAX_CONNECTIONS = 32;

/** A follower that does not read is let go when so many bytes wait for it. */
const MAX_WAITING = 1024 * 1024;

/** Who may call: the socket's owner, and where `group` is given its members too. */
export interface Access {
  /** Group id. */
  readonly group?: number | undefined;
}

/**
 * Serves calls on a Unix socket: one JSON line in, JSON lines out, one call a connection.
 * Who may call is the socket's own mode and owner (0600, or 0660 for a group). A socket file left by a daemon that died is replaced; one that
 * answers means that a daemon is running, which is an error. Anything else at that path is left alone: an error, too.
 */
export async function serveAdmin(
  path: string,
  { group }: Access,
  handlers: Partial<Handlers>,
): Promise<Result<Server>> {
  if (await answers(path)) {
    const hint = "stop the other one first, or give this one its own [server] socket and state";
    return err(new TockError("exists", `a daemon is already running on ${path}`, hint));
  }
  try {
    makeFolder(dirname(path));
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there !== undefined && !there.isSocket()) {
      const hint = "name a path that is free with [server] socket, or take away what is there";
      return err(new TockError("exists", `socket: ${path} is not a socket`, hint));
    }
    rmSync(path, { force: true });
  } catch (error) {
    return err(
      new TockError("io", `socket: cannot make ${path}: ${error instanceof Error ? error.message : ""}`),
    );
  }
  const server = createServer((socket) => serve(socket, handlers));
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve) => {
    // Errors that come once it listens, such as no file descriptor for a caller, fall silent here: that caller is not served.
    server.on("error", (error) => {
      resolve(err(new TockError("io", `socket: cannot listen on ${path}: ${error.message}`)));
    });
    const mask = process.umask(0o177);
    server.listen(path, () => {
      try {
        if (group !== undefined) {
          chownSync(path, -1, group);
          chmodSync(path, 0o660);
        }
        resolve(ok(server));
      } catch (error) {
        server.close();
        const why = error instanceof Error ? error.message : "";
        resolve(err(new TockError("permission", `socket: cannot give ${path} to group ${group}: ${why}`)));
      }
    });
    process.umask(mask);
  });
}

/** Who may look has to get there, whatever the process's mask says. */
function makeFolder(folder: string): void {
  const mask = process.umask(0o022);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  } finally {
    process.umask(mask);
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function serve(socket: Socket, handlers: Partial<Handlers>): void {
  let received = "";
  socket.setEncoding("utf8");
  socket.setTimeout(10_000, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", (text: string) => {
    received += text;
    if (received.length > MAX_REQUEST) {
      socket.destroy();
      return;
    }
    const end = received.indexOf("\n");
    if (end < 0) return;
    socket.pause();
    socket.removeAllListeners("data");
    void answer(socket, received.slice(0, end), handlers);
  });
}

async function answer(socket: Socket, line: string, handlers: Partial<Handlers>): Promise<void> {
  const write = (value: unknown): boolean => {
    if (socket.writableLength > MAX_WAITING) socket.destroy();
    return socket.write(`${JSON.stringify(value)}\n`);
  };
  const drained = async (): Promise<void> => {
    if (!socket.writableNeedDrain || socket.destroyed) return;
    await Promise.race([once(socket, "drain"), once(socket, "close")]);
  };
  try {
    const asked = askedOf(line, handlers);
    if (!asked.ok) write({ error: { code: "permission", message: asked.error.message } });
    else {
      const { handler, params } = asked.value;
      const result = await handler(params as never, {
        send: write,
        drained,
        closed: closing(socket),
        gone: () => socket.destroyed,
        leave: () => void socket.destroy(),
      });
      write(result.ok ? { value: result.value ?? null } : { error: plain(result.error) });
    }
  } catch (error) {
    write({ error: { code: "io", message: error instanceof Error ? error.message : String(error) } });
  }
  socket.end();
}

/** What a line asks for, of what this socket has. */
export function askedOf(
  line: string,
  handlers: Partial<Handlers>,
): Result<{ readonly handler: NonNullable<Handlers[Call["method"]]>; readonly params: unknown }> {
  const call = parseCall(line);
  if (!call.ok) return call;
  const { method, params } = call.value;
  // A method's own name alone: every object has a constructor, too.
  const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (handler !== undefined) return ok({ handler, params });
  return err(new TockError("permission", `"${method}" is not for this socket`));
}

function closing(socket: Socket): Promise<void> {
  socket.setTimeout(0);
  socket.resume();
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
  });
}

function plain(error: TockError): object {
  return { code: error.code, message: error.message, hint: error.hint };
}

function parseCall(line: string): Result<Call> {
  try {
    const value: unknown = JSON.parse(line);
    if (
      typeof value === "object" &&
      value !== null &&
      "method" in value &&
      typeof value.method === "string"
    ) {
      return ok({
        method: value.method as Call["method"],
        params: "params" in value ? value.params : undefined,
      });
    }
  } catch {
    // Falls through to the one message for everything that is not a call.
  }
  return err(new TockError("invalid", "admin: expected one line of JSON with a method"));
}
