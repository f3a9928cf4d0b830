import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

/**
 * Joins a connection with an input and an output until both ways have ended: an end of the input closes only that half
 * of the connection, so what the other side still has to say arrives. Neither way runs ahead of its reader.
 * Gives the error that cut it short, if one did.
 */
export function joinStreams(socket: Socket, input: Readable, output: Writable): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const finish = (error?: Error): void => {
      input.unpipe(socket).destroy();
      socket.destroy();
      resolve(error);
    };
    let flushed = false;
    let closed = false;
    const maybeDone = (): void => {
      if (flushed && closed) finish();
    };
    socket.once("error", finish);
    input.once("error", finish);
    // Whoever read our output has gone: there is nobody left to talk for.
    output.once("error", (error: NodeJS.ErrnoException) =>
      finish(error.code === "EPIPE" ? undefined : error),
    );
    output.once("finish", () => {
      flushed = true;
      maybeDone();
    });
    socket.once("close", () => {
      closed = true;
      maybeDone();
    });
    input.pipe(socket);
    socket.pipe(output);
  });
}

/**
 * Standard output as a stream that does not block: process.stdout writes to a pipe synchronously, which would stop the
 * other way too while the reader is slow.
 */
export function standardOutput(): Writable {
  const stats = fstatSync(1);
  if (process.platform === "win32" || !(stats.isFIFO() || stats.isSocket())) return process.stdout;
  return new Socket({ fd: 1, readable: false, writable: true });
}
