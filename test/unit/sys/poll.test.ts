import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { pollReadable, recv, setsockopt } from "../../../server/sys/libc.ts";
import { UdpSocket } from "../../support/udp-socket.ts";
import { eventually } from "../../lab/wait.ts";

const IP_RECVERR = 11;
const MSG_ERRQUEUE = 0x2000;
const CLOSED_PORT = 41_874;

let socket: UdpSocket;

beforeEach(() => {
  socket = new UdpSocket(41_873);
});

afterEach(() => socket.close());

test("promises that a reader makes go on at once", async () => {
  const order: string[] = [];
  const poll = pollReadable(socket.fd, () => {
    socket.receiveAll();
    void Promise.resolve().then(() => order.push("promise"));
    setImmediate(() => order.push("next turn"));
  });
  socket.send("x");
  await eventually("the next turn", () => order.length === 2);
  expect(order).toEqual(["promise", "next turn"]);
  poll.close();
});

test("stop, start and close do what they say, in any order", async () => {
  let woken = 0;
  const poll = pollReadable(socket.fd, () => {
    woken++;
    socket.receiveAll();
  });
  poll.stop();
  socket.send("x");
  await sleep(30);
  expect(woken).toBe(0);
  poll.start();
  await eventually("it wakes", () => woken === 1);
  socket.send("x");
  poll.close();
  poll.close();
  poll.start();
  poll.stop();
  await sleep(30);
  expect(woken).toBe(1);
});

test("an error on the descriptor does not end the watch", async () => {
  setsockopt(socket.fd, 0, IP_RECVERR, 1);
  const seen: string[] = [];
  const poll = pollReadable(socket.fd, () => {
    seen.push(...socket.receiveAll());
    recv(socket.fd, new Uint8Array(256), MSG_ERRQUEUE);
  });
  socket.send("x", CLOSED_PORT);
  await eventually("the error is seen", () => seen.includes("ECONNREFUSED"));
  socket.send("after");
  await eventually("the watch goes on", () => seen.includes("after"));
  poll.close();
});

test("what a reader throws is an uncaught exception, and the watch goes on", async () => {
  const caught: unknown[] = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => caught.push(error));
  let woken = 0;
  const poll = pollReadable(socket.fd, () => {
    socket.receiveAll();
    if (woken++ === 0) throw new Error("thrown by a reader");
  });
  socket.send("x");
  await eventually("it is caught", () => caught.length === 1);
  socket.send("x");
  await eventually("it wakes again", () => woken === 2);
  poll.close();
  for (const listener of listeners) process.on("uncaughtException", listener);
  expect(caught).toEqual([new Error("thrown by a reader")]);
});
