import { describe, expect, test } from "vitest";
import { decodeRequest } from "../../../shared/request.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { Tock } from "./run-tock.ts";

describe("tock open", () => {
  test("sends one packet per address, each with a nonce of its own, and says what opened", async () => {
    await using daemon = await FakeDaemon.start({}, { v6: true });
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout, stderr } = await tock.run(["open", "fake"]);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: "opened ssh (tcp/22) on fake for 30 s, to 127.0.0.1 and ::1\n",
      stderr: "",
    });
    const packets = new Set(daemon.seen.map(({ datagram }) => datagram.toString("hex")));
    expect(packets.size).toBe(2);
    expect(new Set([...packets].map((packet) => packet.slice(16, 64))).size).toBe(2);
    expect(new Set(daemon.seen.map(({ from }) => from.address))).toEqual(new Set(["127.0.0.1", "::1"]));
  });

  test("asks for what the options say", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const options = ["--for", "5m", "--allow", "2001:db8::7", "--source-port", "4001", "--connections", "2"];
    const result = await tock.json(["open", "fake", "web", "--otp", "012 345", ...options]);
    expect(result).toMatchObject({ ok: true, result: "opened", service: "web", lifetime: 300 });
    const [seen] = daemon.seen;
    expect(seen?.request).toMatchObject({
      type: "open",
      service: "web",
      lifetime: 300,
      otp: 12345,
      fromPort: 4001,
      connections: 2,
      replyWanted: true,
    });
    expect(seen?.request.allow?.text).toBe("2001:db8::7");
  });

  test("sends the same bytes again until a reply comes", async () => {
    let lost = 0;
    await using daemon = await FakeDaemon.start({ loseReply: () => ++lost <= 2 });
    await using tock = await Tock.enrolledAt(daemon);
    expect((await tock.run(["open", "fake"])).code).toBe(0);
    expect(daemon.seen.length).toBe(3);
    expect(new Set(daemon.seen.map(({ datagram }) => datagram.toString("hex"))).size).toBe(1);
  });

  test("without a reply says so with exit code 3, and what it may be", async () => {
    await using daemon = await FakeDaemon.start({ answer: () => undefined });
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout, stderr } = await tock.run(["open", "fake", "--timeout", "0.5"]);
    expect(code).toBe(3);
    expect(stdout).toBe("");
    expect(stderr).toContain(`tock: error: sent, but fake did not answer (127.0.0.1:${daemon.port})`);
    expect(stderr).toContain("tock: hint: is this machine's clock right");
  });

  test("with --no-reply asks for none, waits for none, and exits with 3", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout } = await tock.run(["open", "fake", "--no-reply"]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "sent to fake, not confirmed\n" });
    await expect.poll(() => daemon.seen.map(({ request }) => request.replyWanted)).toEqual([false]);
  });

  test("takes a reply for what it is only if it answers this packet", async () => {
    const replies: Buffer[] = [];
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    daemon.mangleReply = (reply) => {
      replies.push(reply);
      return Buffer.from(reply.map((byte, index) => (index === 87 ? byte ^ 1 : byte)));
    };
    expect((await tock.run(["open", "fake", "--timeout", "0.3"])).code).toBe(3);
    daemon.mangleReply = () => replies[0]!;
    expect((await tock.run(["open", "fake", "--timeout", "0.3"])).code).toBe(3);
  });

  test.each([
    ["refused", 1, "fake refused: its policy does not allow this"],
    ["second-factor", 1, "fake refused: a second-factor code is needed, or it was wrong or used before"],
    ["expired", 1, "fake refused: this device or its secret has expired"],
    ["rotate-first", 1, "fake refused: the secret must rotate first"],
    ["firewall-error", 1, "fake refused: its firewall failed, and nothing was opened"],
    ["pong", 1, 'fake refused: it answered "pong" to a request of another kind'],
  ] as const)("result %s is exit code %i and words", async (result, exit, words) => {
    await using daemon = await FakeDaemon.start({ answer: () => result });
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout, stderr } = await tock.run(["open", "fake"]);
    expect(code).toBe(exit);
    expect(stdout).toBe("");
    expect(stderr.split("\n")[0]).toBe(`tock: error: ${words}`);
  });

  test("the STUN form opens too", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout } = await tock.run(["open", "fake", "--form", "stun"]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "opened ssh (tcp/22) on fake for 30 s, to 127.0.0.1\n",
    });
    expect(daemon.seen[0]?.datagram.subarray(0, 2).toString("hex")).toBe("0001");
  });

  test("--print gives a packet that opens, and sends nothing", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout } = await tock.run(["open", "fake", "--print"]);
    expect(code).toBe(0);
    expect(daemon.seen).toEqual([]);
    const packet = Buffer.from(stdout.trim(), "hex");
    const plain = daemon.open(packet);
    expect(plain && decodeRequest(plain)).toMatchObject({ type: "open", service: "ssh" });
  });

  test("a clock that is wrong by more than 5 s is told", async () => {
    await using daemon = await FakeDaemon.start({ clockOffset: 12_000 });
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stderr } = await tock.run(["open", "fake"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^tock: warning: this machine's clock is 1[12](\.\d)? s behind the server's/);
  });
});
