import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Argv } from "../lab/exec.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import type { Process } from "../lab/process.ts";
import { tock, tockd } from "../lab/programs.ts";

/** `tockd init` at a terminal, as a person goes through it. */

let lab: Lab;
let server: Host;
let laptop: Host;
let stranger: Host;
let office: Host;
/** Holds a mount namespace in which /var/lib and /run are empty, and sshd_config is the test's own. */
let machine: Process;
let config: string;

beforeAll(async () => {
  lab = await Lab.create();
  [server, laptop, stranger, office] = await lab.hosts("server", "laptop", "stranger", "office");
  config = server.path("tockd.toml");
  writeFileSync(server.path("sshd_config"), "Port 22\nPort 2222\n");
  const steps = [
    "mount -t tmpfs none /var/lib",
    "mount -t tmpfs none /run",
    "mkdir /run/sshd /run/tock",
    `mount --bind ${server.path("sshd_config")} /etc/ssh/sshd_config`,
  ];
  machine = server.start(["sh", "-c", `${steps.join(" && ")} && echo ready && exec sleep infinity`]);
  await machine.waitFor(/ready/);
});
afterAll(() => lab[Symbol.asyncDispose]());

const inMachine = (argv: Argv): Argv => [
  "nsenter",
  "--target",
  String(machine.pid),
  "--mount",
  "--",
  ...argv,
];

/** The command at a terminal of its own. */
function atTerminal(): Process {
  const command = tockd("init", "--config", config).join(" ");
  return server.start(
    inMachine(["script", "--quiet", "--return", "--echo", "never", "-c", command, "/dev/null"]),
  );
}

/** Waits for each question, which must come in this order, and types the answer. */
async function converse(process: Process, talk: readonly (readonly [question: RegExp, answer: string])[]) {
  let heard = 0;
  for (const [question, answer] of talk) {
    // Only what came after the last answer counts.
    const rest = new RegExp(`^[^]{${heard}}[^]*?(?:${question.source})`);
    const [said = ""] = await process.waitFor(rest);
    heard = said.length;
    process.write(`${answer}\r`);
  }
}

const state = (): string => `/proc/${machine.pid}/root/var/lib`;

describe("at a terminal", () => {
  test("Ctrl-C leaves nothing behind", async () => {
    const asked = atTerminal();
    await converse(asked, [
      [/people call this server \[.+\]: /, "lab"],
      [/clients send packets \[.*192\.0\.2\.1.*\]: /, "\u0003"],
    ]);
    expect((await asked.exited).code).toBe(128 + 2);
    expect(existsSync(config)).toBe(false);
    expect(readdirSync(state())).toEqual([]);
  });

  test("so do the last question, answered no, and an input that ends", async () => {
    for (const [last, code] of [
      ["no", 1],
      ["\u0004", 2],
    ] as const) {
      const asked = atTerminal();
      await converse(asked, [
        [/server \[.*\]: /, ""],
        [/packets \[.*\]: /, ""],
        [/protect, .*\]: /, ""],
        [/first user.*\]: /, ""],
        [/first device .*\]: /, ""],
        [/nftables \[\w+\]: /, ""],
        [/never need to ask, or none \[none\]: /, ""],
        [/make .*\? \[yes\]: /, last],
      ]);
      expect((await asked.exited).code, asked.stdout).toBe(code);
      expect(existsSync(config)).toBe(false);
      expect(readdirSync(state())).toEqual([]);
    }
  });

  test("without a device it offers no guard, and says in which order things are done", async () => {
    const asked = atTerminal();
    await converse(asked, [
      [/server \[.*\]: /, ""],
      [/packets \[.*\]: /, ""],
      [/protect, .*\]: /, ""],
      [/first user.*\]: /, "alice"],
      [/first device .*\]: /, "none"],
      [/nftables \[\w+\]: /, ""],
      [/never need to ask, or none \[none\]: /, ""],
      [/make .*\? \[yes\]: /, ""],
    ]);
    expect((await asked.exited).code).toBe(0);
    expect(asked.stdout).not.toMatch(/on trial/);
    // Each command names the file, which is not the usual one.
    const steps = ["device add alice", "run", "guard on"].map((step) => `tockd --config ${config} ${step}`);
    const places = [...steps.slice(0, 2), "tock ping ", ...steps.slice(2)].map((step) =>
      asked.stdout.indexOf(step),
    );
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
    await server.must(inMachine(["rm", "-r", config, "/var/lib/tock"]));
  });

  test("asks again with the reason, makes everything, and puts the guard on trial once a device came", async () => {
    const asked = atTerminal();
    await converse(asked, [
      [/server \[.*\]: /, "a/b"],
      [/error: expected a name of 1 to 63 [^]*server \[.*\]: /, "lab"],
      [/packets \[.*\]: /, "http://x"],
      [/error: expected an IP address or a host name[^]*packets \[.*\]: /, "192.0.2.1, 2001:db8::1"],
      [/sshd listens on 22, 2222, by sshd -T[^]*\[ssh=tcp\/22,tcp\/2222\]: /, "ssh"],
      [/error: expected name=ports[^]*protect, .*: /, "ssh=tcp/22,tcp/99999"],
      [/error: expected [^]*protect, .*: /, ""],
      [/first user.* \[\w+\]: /, "Alice"],
      [/error: expected [^]*first user.*: /, "alice"],
      [/first device of alice.* \[laptop\]: /, "a b"],
      [/error: device: [^]*first device.*: /, ""],
      [/iptables or nftables \[\w+\]: /, "pf"],
      [/error: expected "iptables", [^]*iptables or nftables.*: /, "nftables"],
      [/never need to ask, or none \[none\]: /, "0.0.0.0/0"],
      [/error: expected [^]*never need to ask.*: /, `${office.address.v4}/32`],
      [/make .*tockd\.toml.*\? \[yes\]: /, "maybe"],
      [/error: expected yes or no[^]*\? \[yes\]: /, ""],
    ]);
    const [link = ""] = await asked.waitFor(/tock:\/\/enroll\/1#[^\s]+/);
    expect(asked.stdout).toMatch(/[▀▄█]{10}/);
    await converse(asked, [[/on trial for 60 s\? \[no\]: /, "yes"]]);
    await asked.waitFor(/error: guard: no daemon is running/);
    const daemon = server.start(inMachine(tockd("run", "--config", config)));
    await daemon.waitFor(/ready/);
    await laptop.must(tock("enroll", "-"), { input: `${link}\n` });
    await laptop.must(tock("ping", "lab"));
    asked.write("yes\r");
    await asked.waitFor(/guard: on, on trial/);
    expect((await asked.exited).code).toBe(0);
    const agent = await stranger.agent();
    for (const port of [22, 2222]) expect(await agent.probe(server.address.v4, port)).toBe("filtered");
    // Allowed: it meets a port where nobody listens, not the guard.
    expect(await (await office.agent()).probe(server.address.v4, 2222)).toBe("closed");
    const opened = await laptop.run(tock("open", "lab"));
    expect([opened.code, opened.stdout]).toEqual([0, expect.stringMatching(/^opened ssh/)]);
    expect(asked.stdout.match(/tock:\/\/enroll/g)).toHaveLength(1);
    await server.must(inMachine(tockd("guard", "off", "--config", config)));
  });
});

test("without a terminal it asks nothing and takes what it finds", async () => {
  const other = server.path("other.toml");
  const flags = ["--config", other, "--state", server.path("other"), "--device", "alice/laptop", "--json"];
  const made = JSON.parse(await server.must(inMachine(tockd("init", ...flags)))) as Record<string, unknown>;
  expect(made).toMatchObject({
    config: other,
    users: ["alice"],
    notes: ["ssh: sshd listens on 22, 2222, by sshd -T", expect.stringMatching(/^(iptables|nftables): /)],
    link: expect.stringMatching(/^tock:\/\/enroll\/1#/) as string,
  });
  const text = await server.must(inMachine(tockd("config", "--config", other, "--json")));
  expect(JSON.parse(text)).toMatchObject({ services: { ssh: { ports: ["tcp/22", "tcp/2222"] } } });
});
