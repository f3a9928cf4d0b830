import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import type { Port, ServiceName } from "../../../shared/brand.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { CLI, Tock } from "./run-tock.ts";

/** A TCP server on loopback that does `serve` with each connection. */
class TcpService implements AsyncDisposable {
  readonly #server: Server;
  readonly connections: Socket[] = [];
  /** The ports that they came from. */
  readonly from: (number | undefined)[] = [];
  readonly port: Port;

  private constructor(server: Server) {
    this.#server = server;
    const address = server.address();
    this.port = (typeof address === "object" && address !== null ? address.port : 0) as Port;
    server.on("connection", (socket) => {
      this.connections.push(socket);
      this.from.push(socket.remotePort);
    });
  }

  static async start(serve: (socket: Socket) => void): Promise<TcpService> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => undefined);
      serve(socket);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new TcpService(server);
  }

  services() {
    const ports = [{ protocol: "tcp" as const, first: this.port, last: this.port }];
    return { services: [{ name: "ssh" as ServiceName, ports }] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function startProxy(tock: Tock, port: number, ...options: string[]) {
  const args = [CLI, "proxy", ...options, "fake", "127.0.0.1", String(port)];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...tock.env } });
  return Object.assign(child, { ended: once(child, "close") as Promise<[number | null, string | null]> });
}

describe("tock proxy", () => {
  test("carries every byte both ways, and an end of the input ends only that half", async () => {
    const answer = randomBytes(3_000_000);
    let heard = 0;
    await using service = await TcpService.start((socket) => {
      socket.on("data", (chunk) => (heard += chunk.length));
      socket.on("end", () => socket.end(answer));
    });
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, service.services());
    const proxy = startProxy(tock, service.port);
    proxy.stdin.end(randomBytes(5_000_000));
    const chunks: Buffer[] = [];
    proxy.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    expect(await proxy.ended).toEqual([0, null]);
    expect(heard).toBe(5_000_000);
    expect(Buffer.concat(chunks).equals(answer)).toBe(true);
  });

  test("connects from the port that it had opened, and from no other", async () => {
    await using service = await TcpService.start((socket) => socket.end("hello"));
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, service.services());
    const proxy = startProxy(tock, service.port);
    proxy.stdin.end();
    expect(await text(proxy.stdout)).toBe("hello");
    const [seen] = daemon.seen;
    expect(service.from).toEqual([seen?.request.fromPort]);
    expect(seen?.from.port).toBe(seen?.request.fromPort);
  });

  test("opens for every port where a NAT changes it, and says so", async () => {
    await using service = await TcpService.start((socket) => socket.end("hello"));
    await using daemon = await FakeDaemon.start({ sourcePort: 999 });
    await using tock = await Tock.enrolledAt(daemon, service.services());
    const proxy = startProxy(tock, service.port);
    proxy.stdin.end();
    const [out, err] = await Promise.all([text(proxy.stdout), text(proxy.stderr)]);
    expect(out).toBe("hello");
    expect(err).toBe(
      "tock: warning: a NAT changes source ports, so this opens for others behind the same address too\n",
    );
    expect(daemon.seen.map(({ request }) => request.fromPort !== undefined)).toEqual([true, false]);
  });

  test("with --any-port asks for no port", async () => {
    await using service = await TcpService.start((socket) => socket.end("hello"));
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, service.services());
    const proxy = startProxy(tock, service.port, "--any-port");
    proxy.stdin.end();
    expect(await text(proxy.stdout)).toBe("hello");
    expect(daemon.seen.map(({ request }) => request.fromPort)).toEqual([undefined]);
  });

  test("a code that works once is spent once, after a ping has told whether a NAT is there", async () => {
    await using service = await TcpService.start((socket) => socket.end("hello"));
    await using daemon = await FakeDaemon.start({ sourcePort: 999 });
    await using tock = await Tock.enrolledAt(daemon, { ...service.services(), secondFactor: true });
    const proxy = startProxy(tock, service.port, "--otp", "123456");
    proxy.stdin.end();
    expect(await text(proxy.stdout)).toBe("hello");
    expect(daemon.seen.map(({ request }) => [request.type, request.otp, request.fromPort])).toEqual([
      ["ping", undefined, undefined],
      ["open", 123456, undefined],
    ]);
  });

  test("does not run ahead of a slow reader", async () => {
    let written = 0;
    await using service = await TcpService.start((socket) => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = (): void => {
        do written += chunk.length;
        while (socket.write(chunk));
      };
      socket.on("drain", more);
      more();
    });
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, service.services());
    const proxy = startProxy(tock, service.port);
    await once(proxy.stdout, "readable");
    await expect
      .poll(async () => {
        const before = written;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return written - before;
      })
      .toBe(0);
    // What is written and unread lies in sockets and pipes, a few megabytes at the most.
    expect(written).toBeLessThan(32_000_000);
    // A reader that goes away ends it without a word.
    proxy.stdout.destroy();
    proxy.stdin.end();
    const [code] = await proxy.ended;
    expect(code).toBe(0);
  });

  test("a connection that breaks is an error", async () => {
    await using service = await TcpService.start((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, service.services());
    const proxy = startProxy(tock, service.port);
    proxy.stdin.write("hello");
    const [[code], err] = await Promise.all([proxy.ended, text(proxy.stderr)]);
    expect(code).toBe(1);
    expect(err).toMatch(/^tock: error: the connection broke: read ECONNRESET\n$/);
  });

  test("without replies it connects as soon as the port opens, and stops sending then", async () => {
    await using service = await TcpService.start((socket) => socket.end("hello"));
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { ...service.services(), replies: false });
    const proxy = startProxy(tock, service.port);
    proxy.stdin.end();
    expect(await text(proxy.stdout)).toBe("hello");
    expect(daemon.seen.length).toBeGreaterThanOrEqual(1);
    expect(daemon.seen[0]?.request.replyWanted).toBe(false);
  });

  test("nobody behind the port is told as such", async () => {
    const service = await TcpService.start(() => undefined);
    await service[Symbol.asyncDispose]();
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, service.services());
    const { code, stdout, stderr } = await tock.run(["proxy", "fake", "fake", String(service.port)]);
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `tock: error: it was opened, but there is no connection: ECONNREFUSED from 127.0.0.1 port ${service.port}\n` +
        "tock: hint: is the service running, and does another firewall stand in the way?\n",
    });
  });
});
