import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AdaptivePoll } from "../../../server/capture/adaptive-poll.ts";
import { eventually } from "../../lab/wait.ts";
import { UdpSocket } from "../../support/udp-socket.ts";

let socket: UdpSocket;

beforeEach(() => {
  socket = new UdpSocket(41_875);
});

afterEach(() => socket.close());

test("everything is read: at rest, under load, and at rest again", async () => {
  const seen: string[] = [];
  let toSend = 0;
  const poll = new AdaptivePoll(socket.fd, () => {
    const texts = socket.receiveAll();
    seen.push(...texts);
    // One more for each that was read is load without end: the next wake-up follows at once.
    if (toSend > 0) socket.send(`load ${toSend--}`);
    return texts.length > 0 ? "all" : "nothing";
  });
  for (let round = 0; round < 3; round++) {
    socket.send("rest");
    await eventually("one packet is read", () => seen.includes("rest"));
    toSend = 100;
    socket.send("load");
    await eventually("all of the load is read", () => seen.includes("load 1"));
    await sleep(10);
    expect(seen).toHaveLength(102);
    seen.length = 0;
  }
  poll.close();
});

test("it may be closed while it reads", async () => {
  for (const closeAt of [1, 2, 20]) {
    let drains = 0;
    const poll = new AdaptivePoll(socket.fd, () => {
      socket.receiveAll();
      socket.send("more");
      if (++drains === closeAt) poll.close();
      return closeAt === 2 ? "some" : "all";
    });
    socket.send("first");
    await eventually("it is closed", () => drains === closeAt);
    await sleep(20);
    expect(drains).toBe(closeAt);
  }
});

test("nothing is read after it was closed under load", async () => {
  let drains = 0;
  const poll = new AdaptivePoll(socket.fd, () => {
    socket.receiveAll();
    socket.send("more");
    drains++;
    return "all";
  });
  socket.send("first");
  await eventually("it is under load", () => drains > 20);
  poll.close();
  const before = drains;
  await sleep(20);
  expect(drains).toBe(before);
});

test("what never comes to an end keeps nobody else from their turn", async () => {
  let drains = 0;
  const poll = new AdaptivePoll(socket.fd, () => {
    socket.receiveAll();
    drains++;
    return "some";
  });
  socket.send("first");
  await eventually("it reads without end", () => drains > 20);
  await sleep(1);
  poll.close();
  const before = drains;
  await sleep(20);
  expect(drains).toBe(before);
});
