import { beforeEach, describe, expect, test, vi } from "vitest";
import { NetlinkSocket, NO_ANSWER } from "../../../server/sys/netlink.ts";
import { attribute, decode, encode, type Message, NLM_F_ACK } from "../../../server/sys/netlink-message.ts";
import { Prepared } from "../../../server/sys/prepared.ts";

/** Answers that no kernel gives when it is asked to: late ones, overruns, silence. */

const EAGAIN = 11;
const EINTR = 4;
const ENOBUFS = 105;
const EEXIST = 17;

type Answer = number | ((first: number) => readonly [sequence: number, errno: number][]);
let script: Answer[] = [];
let sends: number[] = [];
let first = 0;

vi.mock("../../../server/sys/libc.ts", () => ({
  socket: () => 3,
  setsockopt: () => 0,
  bind: () => 0,
  close: () => 0,
  send: (_: number, bytes: Uint8Array) => {
    first = decode(bytes)[0]?.sequence ?? 0;
    return sends.shift() ?? bytes.length;
  },
  recv: (_: number, buffer: Uint8Array) => {
    const next = script.shift() ?? -EAGAIN;
    if (typeof next === "number") return next;
    const bytes = Buffer.concat(next(first).map(([sequence, errno]) => encode([said(errno)], sequence)));
    buffer.set(bytes);
    return bytes.length;
  },
}));

/** NLMSG_ERROR, struct nlmsgerr. */
function said(errno: number): Message {
  const body = new Uint8Array(20);
  new Int32Array(body.buffer)[0] = -errno;
  return { type: 2, flags: 0x100, body };
}

const edge = (type: number): Message => ({ type, flags: 0, body: new Uint8Array(4) });
const prepared = new Prepared([
  edge(16),
  { type: 17, flags: NLM_F_ACK, body: attribute(1, new Uint8Array(8)) },
  edge(18),
]);
let netlink: NetlinkSocket;

beforeEach(() => {
  [script, sends] = [[], []];
  const opened = NetlinkSocket.open();
  if (opened.ok) netlink = opened.value;
});

describe("what was prepared is confirmed", () => {
  test("by the acknowledgement of the message that asked", () => {
    script = [(n) => [[n + 1, 0]]];
    expect(netlink.confirm(prepared)).toBeUndefined();
  });

  test("where a late answer to something else comes first, also one of success or of failure", () => {
    script = [(n) => [[n - 1, 0]], (n) => [[n - 2, EEXIST]], (n) => [[n + 1, 0]]];
    expect(netlink.confirm(prepared)).toBeUndefined();
  });

  test("where a late answer stands in the same datagram", () => {
    script = [
      (n) => [
        [n - 1, EEXIST],
        [n + 1, 0],
      ],
    ];
    expect(netlink.confirm(prepared)).toBeUndefined();
  });

  test("after a signal", () => {
    sends = [-EINTR];
    script = [(n) => [[n + 1, 0]]];
    expect(netlink.confirm(prepared)).toBeUndefined();
  });
});

describe("it is not confirmed", () => {
  test.each<[string, Answer[], number]>([
    ["where it is refused", [(n) => [[n + 1, EEXIST]]], EEXIST],
    [
      "where the batch is refused, whose edge is answered",
      [(n) => [[n, EEXIST]], (n) => [[n + 1, 0]]],
      EEXIST,
    ],
    ["where only another message is acknowledged", [(n) => [[n, 0]], (n) => [[n + 2, 0]]], NO_ANSWER],
    ["where only a late answer comes", [(n) => [[n - 2, 0]]], NO_ANSWER],
    ["where none comes", [], NO_ANSWER],
    ["where answers were lost", [-ENOBUFS], ENOBUFS],
  ])("%s", (_, answers, code) => {
    script = answers;
    expect(netlink.confirm(prepared)?.code).toBe(code);
  });

  test("where it cannot be sent", () => {
    sends = [-1];
    expect(netlink.confirm(prepared)?.code).toBe(1);
  });
});

test("each datagram has numbers of its own", () => {
  const seen: number[] = [];
  for (let round = 0; round < 3; round++) {
    script = [(n) => (seen.push(n), [[n + 1, 0]])];
    expect(netlink.confirm(prepared)).toBeUndefined();
  }
  expect(seen).toEqual([seen[0], (seen[0] ?? 0) + 3, (seen[0] ?? 0) + 6]);
});
