import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  bind,
  close,
  errnoName,
  pollReadable,
  recv,
  sendto,
  setsockopt,
  socket,
} from "../../../server/sys/libc.ts";

const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK = 2 | 0x800 | 0x80000;
const IP_RECVERR = 11;
const MSG_ERRQUEUE = 0x2000;
const PORT = 41_873;
const CLOSED_PORT = 41_874;

let fd: number;
const buffer = new Uint8Array(256);

beforeEach(() => {
  fd = socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0);
  expect(errnoName(bind(fd, loopback(PORT)))).toBe("no error");
});

afterEach(() => {
  close(fd);
});

function loopback(port: number): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return address;
}

async function until(done: () => boolean): Promise<void> {
  for (let round = 0; !done(); round++) {
    if (round > 500) throw new Error("not within 5 s");
    await sleep(10);
  }
}

function receiveAll(): string[] {
  const seen: string[] = [];
  for (;;) {
    const length = recv(fd, buffer);
    if (errnoName(length) === "EAGAIN") return seen;
    seen.push(length < 0 ? errnoName(length) : Buffer.from(buffer.subarray(0, length)).toString());
  }
}

test("promises that a reader makes go on at once", async () => {
  const order: string[] = [];
  const poll = pollReadable(fd, () => {
    receiveAll();
    void Promise.resolve().then(() => order.push("promise"));
    setImmediate(() => order.push("next turn"));
  });
  sendto(fd, Buffer.from("x"), loopback(PORT));
  await until(() => order.length === 2);
  expect(order).toEqual(["promise", "next turn"]);
  poll.close();
});

test("stop, start and close do what they say, in any order", async () => {
  let woken = 0;
  const poll = pollReadable(fd, () => {
    woken++;
    receiveAll();
  });
  poll.stop();
  sendto(fd, Buffer.from("x"), loopback(PORT));
  await sleep(30);
  expect(woken).toBe(0);
  poll.start();
  await until(() => woken === 1);
  sendto(fd, Buffer.from("x"), loopback(PORT));
  poll.close();
  poll.close();
  poll.start();
  poll.stop();
  await sleep(30);
  expect(woken).toBe(1);
});

test("an error on the descriptor does not end the watch", async () => {
  setsockopt(fd, 0, IP_RECVERR, 1);
  const seen: string[] = [];
  const poll = pollReadable(fd, () => {
    seen.push(...receiveAll());
    recv(fd, buffer, MSG_ERRQUEUE);
  });
  sendto(fd, Buffer.from("x"), loopback(CLOSED_PORT));
  await until(() => seen.includes("ECONNREFUSED"));
  sendto(fd, Buffer.from("after"), loopback(PORT));
  await until(() => seen.includes("after"));
  poll.close();
});
