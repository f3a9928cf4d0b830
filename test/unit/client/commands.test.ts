import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type UnixMillis, timeStep } from "../../../shared/brand.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { knockSequence } from "../../../shared/knock-sequence.ts";
import { stepAt } from "../../../shared/time-step.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { CLI, Tock } from "./run-tock.ts";

describe("tock ping", () => {
  test("tells the round trip, the clocks' difference and the address seen, and changes nothing", async () => {
    await using daemon = await FakeDaemon.start({ clockOffset: 2_000 });
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout, stderr } = await tock.run(["ping", "fake"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^127\.0\.0\.1 answered in \d+\.\d ms, clock \+(1\.9|2|2\.1) s, sees 127\.0\.0\.1\n$/,
    );
    expect(daemon.seen.map(({ request }) => request.type)).toEqual(["ping"]);
  });

  test("a clock that is wrong by minutes gets silence, and the hint names the clock", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const env = { TOCK_TEST_CLOCK_OFFSET_MS: "300000" };
    const { code, stderr } = await tock.run(["ping", "fake", "--timeout", "0.2"], { env });
    expect(code).toBe(3);
    expect(stderr).toContain("tock: hint: is this machine's clock right (to 30 s)?");
    expect(daemon.seen).toEqual([]);
  });
});

describe("tock close", () => {
  test("asks to close a service, for an address", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const { code, stdout } = await tock.run(["close", "fake", "web", "--allow", "192.0.2.9"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "closed web on fake, to 127.0.0.1\n" });
    expect(daemon.seen[0]?.request).toMatchObject({ type: "close", service: "web" });
    expect(daemon.seen[0]?.request.allow?.text).toBe("192.0.2.9");
  });
});

describe("tock sequence", () => {
  const portsAt = (daemon: FakeDaemon, step: number) => {
    const schedule = new KeySchedule(daemon.current, daemon.serverId);
    const { knock } = daemon.enrolment();
    return knockSequence(knock!, (block) => schedule.derive("knock", timeStep(step), block));
  };

  test("gives the step's ports and the seconds that they last", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const before = Date.now();
    const result = await tock.json(["sequence", "fake"]);
    const after = Date.now();
    const step = result["step"] as number;
    expect([stepAt(before as UnixMillis), stepAt(after as UnixMillis)]).toContain(step);
    expect(result["ports"]).toEqual(portsAt(daemon, step));
    const end = (step + 1) * 30;
    expect(result["secondsLeft"]).toBeLessThanOrEqual(end - Math.floor(before / 1000));
    expect(result["secondsLeft"]).toBeGreaterThanOrEqual(end - Math.ceil(after / 1000));
    expect(daemon.seen).toEqual([]);
  });

  test("--watch prints the next one as its step begins, and ends at Ctrl-C without a word", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    // The client's clock is put 1.5 s before the end of a step.
    const offset = String(30_000 - (Date.now() % 30_000) - 1_500);
    const env = { ...process.env, ...tock.env, TOCK_TEST_CLOCK_OFFSET_MS: offset };
    const child = spawn(process.execPath, [CLI, "sequence", "fake", "--watch", "--json"], { env });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    await expect.poll(() => out.trim().split("\n").length, { timeout: 10_000 }).toBe(2);
    child.kill("SIGINT");
    const [, signal] = (await once(child, "close")) as [number | null, string | null];
    expect([signal, err]).toEqual(["SIGINT", ""]);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { step: number; ports: number[] });
    const [first, second] = lines;
    expect(second!.step).toBe(first!.step + 1);
    expect(second!.ports).toEqual(portsAt(daemon, second!.step));
  });

  test("an open rotation is told, since the sequence may be that of an old secret", async () => {
    await using daemon = await FakeDaemon.start({ loseReply: () => true });
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    await tock.run(["rotate", "fake", "--timeout", "0.1"]);
    const { code, stderr } = await tock.run(["sequence", "fake"]);
    expect(code).toBe(0);
    expect(stderr).toContain("tock: warning: a rotation stands open");
  });
});

describe("tock knock", () => {
  test("ends an open rotation first, so that the sequence is the server's", async () => {
    await using daemon = await FakeDaemon.start({ loseReply: () => isLossy });
    let isLossy = true;
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    await tock.run(["rotate", "fake", "--timeout", "0.1"]);
    isLossy = false;
    const { code, stdout } = await tock.run(["knock", "fake", "--json"]);
    expect(code).toBe(3);
    const { ports } = JSON.parse(stdout) as { ports: number[] };
    const now = stepAt(Date.now() as UnixMillis);
    const schedule = new KeySchedule(daemon.current, daemon.serverId);
    const sequences = [now - 1, now].map((step) =>
      knockSequence(daemon.enrolment().knock!, (block) => schedule.derive("knock", timeStep(step), block)),
    );
    expect(sequences).toContainEqual(ports);
  });
});

describe("tock list and tock forget", () => {
  test("list shows what there is, and forget removes it", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.create();
    expect((await tock.run(["list"])).stdout).toBe(
      "no profiles yet; tock enroll - takes an enrolment link and makes one\n",
    );
    await tock.enrol(daemon, "one");
    await tock.enrol(daemon, "two", { secondFactor: true });
    expect((await tock.run(["list"])).stdout).toBe(
      [
        `one  alice/laptop at 127.0.0.1, udp/${daemon.port}`,
        "  ssh: tcp/22",
        "  web: tcp/443",
        `two  alice/laptop at 127.0.0.1, udp/${daemon.port}`,
        "  ssh: tcp/22",
        "  web: tcp/443",
        "  asks for a second-factor code",
        "",
      ].join("\n"),
    );
    expect((await tock.run(["forget", "one"])).stdout).toBe("forgot one\n");
    expect(await tock.json(["list"])).toMatchObject({ profiles: [{ name: "two" }] });
    expect((await tock.run(["forget", "one"])).code).toBe(1);
  });

  test("a damaged profile can be forgotten", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    writeFileSync(tock.profilePath("fake"), "{");
    expect((await tock.run(["forget", "fake"])).code).toBe(0);
  });
});

describe("the second factor", () => {
  test("a code is read from a descriptor, and goes to one address after the other", async () => {
    await using daemon = await FakeDaemon.start({}, { v6: true });
    await using tock = await Tock.enrolledAt(daemon, { secondFactor: true });
    const { code, stdout } = await tock.run(["open", "fake", "--otp-fd", "0"], { input: "654 321\n" });
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "opened ssh (tcp/22) on fake for 30 s, to 127.0.0.1\n",
    });
    expect(daemon.seen.map(({ request }) => request.otp)).toEqual([654321]);
  });

  test("the next address is tried where the first one is silent", async () => {
    await using daemon = await FakeDaemon.start(
      { loseReply: ({ from }) => from.family === "IPv4" },
      { v6: true },
    );
    await using tock = await Tock.enrolledAt(daemon, { secondFactor: true });
    const { code, stdout } = await tock.run(["open", "fake", "--otp", "654321", "--timeout", "0.3"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "opened ssh (tcp/22) on fake for 30 s, to ::1\n" });
  });
});

describe("at a terminal", () => {
  /** Runs tock under script(1), which gives it a terminal, and types `keys` at its prompt. */
  async function atTerminal(tock: Tock, args: readonly string[], prompt: RegExp, keys: string) {
    const command = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(" ");
    // A terminal that takes colours; Node shows none to what it takes for a build server.
    const { CI: _, NO_COLOR: __, ...machine } = process.env;
    const env = { ...machine, TERM: "xterm-256color", ...tock.env };
    const child = spawn("script", ["-qefc", command, "/dev/null"], { env });
    const closed = once(child, "close") as Promise<[number | null]>;
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    await expect.poll(() => out, { timeout: 15_000 }).toMatch(prompt);
    child.stdin.on("error", () => undefined).write(keys);
    const [code] = await closed;
    return { code, out: out.replaceAll("\r\n", "\n") };
  }

  test("the code is asked for, and what is typed does not show", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { secondFactor: true });
    const { code, out } = await atTerminal(
      tock,
      ["open", "fake"],
      /second-factor code for fake: $/,
      "12345\b56\r",
    );
    expect(code).toBe(0);
    expect(out).toBe("second-factor code for fake: \nopened ssh (tcp/22) on fake for 30 s, to 127.0.0.1\n");
    expect(daemon.seen[0]?.request.otp).toBe(123456);
  });

  test("a server that wants a code which the profile did not know of has it asked for", async () => {
    await using daemon = await FakeDaemon.start({
      answer: ({ request }) => (request.otp === undefined ? "second-factor" : "opened"),
    });
    await using tock = await Tock.enrolledAt(daemon);
    const { code } = await atTerminal(tock, ["open", "fake"], /second-factor code for fake: $/, "123456\r");
    expect(code).toBe(0);
    expect(daemon.seen.map(({ request }) => request.otp)).toEqual([undefined, 123456]);
  });

  test("Ctrl-C at a prompt ends it, and the terminal echoes again", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { secondFactor: true });
    const { code, out } = await atTerminal(tock, ["open", "fake"], /fake: $/, "12\u0003");
    expect(code).toBe(130);
    expect(out).toBe("second-factor code for fake: \n");
    expect(daemon.seen).toEqual([]);
  });

  test("a link can be typed, unseen", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.create();
    const { code, out } = await atTerminal(tock, ["enroll", "-"], /enrolment link: $/, `${daemon.link()}\r`);
    expect(code).toBe(0);
    expect(out).not.toContain("tock://");
    expect(readFileSync(tock.profilePath("fake"), "utf8")).toContain('"version": 1');
  });

  test("forget asks, and keeps the profile unless the answer is yes", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const no = await atTerminal(tock, ["forget", "fake"], /\[y\/N\] $/, "n\r");
    expect(no.code).toBe(2);
    expect(no.out).toContain("tock: error: kept fake");
    const yes = await atTerminal(tock, ["forget", "fake"], /\[y\/N\] $/, "y\r");
    expect(yes.code).toBe(0);
  });

  test("NO_COLOR is respected, and without it results are coloured", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const escape = "\u001b[";
    expect((await atTerminal(tock, ["open", "fake"], /opened/, "")).out).not.toContain(escape);
    delete tock.env["NO_COLOR"];
    expect((await atTerminal(tock, ["open", "fake"], /opened/, "")).out).toContain(`${escape}32mopened`);
  });
});

describe("help", () => {
  test("names every command, and each has its own page with examples and exit codes", async () => {
    await using tock = await Tock.create();
    const { code, stdout } = await tock.run(["--help"]);
    expect(code).toBe(0);
    const names = [
      ...stdout
        .split("Commands:\n")[1]!
        .split("\n\n")[0]!
        .matchAll(/^ {2}([a-z-]+) /gm),
    ].map(([, name]) => name!);
    expect(names).toEqual(expect.arrayContaining(["open", "ssh", "proxy", "enroll", "rotate", "forget"]));
    const pages = await Promise.all(names.map((name) => tock.run([name, "--help"])));
    for (const [index, page] of pages.entries()) {
      expect(page.code, names[index]).toBe(0);
      expect(page.stdout, names[index]).toMatch(
        /^tock [a-z-]+: .*\n\nUsage:\n[^]*\nOptions:\n[^]*\nExamples:\n[^]*\nExit codes:\n/,
      );
      for (const line of page.stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
    }
  });

  test("the version is one line", async () => {
    await using tock = await Tock.create();
    expect((await tock.run(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });
});
