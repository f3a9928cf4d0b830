import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectFailure, type Failure } from "../unit/client/expect-error.ts";
import { FakeDaemon } from "../unit/client/fake-daemon.ts";
import { Tock } from "../unit/client/run-tock.ts";

/** What people get wrong on the command line: each case has its message, word for word, its hint and its exit code. */

let daemon: FakeDaemon;
let tock: Tock;

beforeAll(async () => {
  daemon = await FakeDaemon.start({ answer: () => undefined });
  tock = await Tock.create();
  for (const [name, changes] of Object.entries({
    box: {},
    mute: { replies: false },
    udp: { knock: undefined, services: [{ name: "dns", ports: [{ protocol: "udp", first: 53, last: 53 }] }] },
    codes: { secondFactor: true },
    nowhere: { addresses: ["no-such-host.invalid"] },
  })) {
    await tock.enrol(daemon, name, changes as Parameters<FakeDaemon["enrolment"]>[0]);
  }
});

afterAll(async () => {
  await tock[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
});

/** Of a service that the profile does not have. */
const HAS =
  "it has: ssh, web; for one that is new on the server, a new link: tockd device rotate alice/laptop";

const helpOf = (command: string) => `see tock ${command} --help`;
type Case = readonly [line: string, ...Failure];
const FLAGS: readonly Case[] = [
  ["opne box", 2, 'unknown command "opne"', "did you mean tock open?"],
  ["frobnicate", 2, 'unknown command "frobnicate"', "tock --help lists the commands"],
  ["-4 open box", 2, 'unknown option "-4"', "options follow the command; see tock --help"],
  ["help frobnicate", 2, 'unknown command "frobnicate"', "tock --help lists the commands"],
  ["open", 2, "<profile> is missing", helpOf("open")],
  ["open box ssh more", 2, 'unexpected argument "more"', helpOf("open")],
  ["open box --tmeout 3", 2, 'unknown option "--tmeout"', "did you mean --timeout?"],
  ["open box --quickly", 2, 'unknown option "--quickly"', helpOf("open")],
  ["open box -x", 2, 'unknown option "-x"', helpOf("open")],
  ["open box --for", 2, "--for needs a value: seconds"],
  ["open box --for --wait", 2, "--for needs a value: seconds"],
  ["open box --wait=yes", 2, '--wait takes no value, got "yes"'],
  ["open box --for 1 --for 2", 2, "--for is given twice"],
  ["open box --for 0", 2, '--for: expected 1 to 65535 seconds, got "0"', "for example --for 60 or --for 5m"],
  [
    "open box --for 2d",
    2,
    '--for: expected 1 to 65535 seconds, got "2d"',
    "for example --for 60 or --for 5m",
  ],
  [
    "open box --for 70000",
    2,
    '--for: expected 1 to 65535 seconds, got "70000"',
    "for example --for 60 or --for 5m",
  ],
  ["open box --allow home", 2, '--allow: expected an IPv4 or IPv6 address, got "home"'],
  ["open box --allow 192.0.2.0/24", 2, '--allow: expected an IPv4 or IPv6 address, got "192.0.2.0/24"'],
  ["open box --allow 010.0.2.1", 2, '--allow: expected an IPv4 or IPv6 address, got "010.0.2.1"'],
  ["open box --source-port 65536", 2, '--source-port: expected a whole number from 1 to 65535, got "65536"'],
  ["open box --connections 256", 2, '--connections: expected a whole number from 1 to 255, got "256"'],
  ["open box --form udp", 2, '--form: expected spa or stun, got "udp"'],
  ["open box --timeout 0", 2, '--timeout: expected seconds from 0.1 to 60, got "0"'],
  ["open box --timeout soon", 2, '--timeout: expected seconds from 0.1 to 60, got "soon"'],
  ["open box -4 -6", 2, "-4 and -6 are given both", "leave out both to use both families"],
  ["open box --otp 12345", 2, "--otp: expected a code of 6 digits, got 5 characters"],
  ["open box --otp 123456 --otp-fd 0", 2, "--otp and --otp-fd are given both"],
  ["open box --otp-fd 99", 2, "--otp-fd: cannot read descriptor 99 (EBADF)"],
  ["open box --otp-fd x", 2, '--otp-fd: expected a whole number from 0 to 1023, got "x"'],
  ["open udp --wait", 2, "--wait: service dns has no TCP port"],
  ["open box web2", 1, 'this profile has no service "web2"', HAS],
  [
    "open box SSH",
    2,
    'service: expected 1 to 16 of a-z, 0-9, - and _, got "SSH"',
    "start it with a letter or digit, for example ssh",
  ],
  ["open codes", 2, "codes asks for a second-factor code", "give it with --otp or --otp-fd"],
  ["open box -6", 1, 'no IPv6 address among "127.0.0.1"', "leave out -6"],
  ["open nowhere", 1, 'cannot resolve "no-such-host.invalid"', "check the network and the name; *"],
  [
    "open box --timeout 0.2",
    3,
    "sent, but box did not answer (127.0.0.1:*",
    "is this machine's clock right (to 30 s)? does the network let udp/*",
  ],
  ["ping mute", 1, "mute never answers, so there is nothing to wait for", "tock open mute --wait"],
  [
    "knock udp",
    1,
    "this device may not knock at udp",
    "tock open udp is better in every way; to knock too: knock = true for the user on the server, then a new link",
  ],
  ["knock box --transport icmp", 2, '--transport: expected tcp or udp, got "icmp"'],
  ["knock box --spacing -5", 2, "--spacing needs a value: milliseconds"],
  ["knock box --spacing 9999", 2, '--spacing: expected a whole number from 0 to 5000, got "9999"'],
  [
    "sequence udp",
    1,
    "this device may not knock at udp",
    "tock open udp is better in every way; to knock too: knock = true for the user on the server, then a new link",
  ],
  [
    "rotate box",
    1,
    "the secret of box is static: it never rotates",
    "ask its administrator for a link without --static",
  ],
  ["proxy box", 2, "<host> is missing", helpOf("proxy")],
  ["proxy box h 0", 2, '<port>: expected a whole number from 1 to 65535, got "0"'],
  ["proxy box h 23", 1, "profile box has no service with tcp/23", "tock list shows them"],
  ["ssh", 2, "<profile> is missing", helpOf("ssh")],
  ["ssh udp", 1, "profile udp has no service with a TCP port"],
  ["ssh --service web2 box", 1, 'this profile has no service "web2"', HAS],
  ["ssh-config box --host *", 2, '--host: expected a word of letters, digits, . _ @ and -, got "*"'],
  ["list now", 2, 'unexpected argument "now"', helpOf("list")],
  ["protect box", 2, "expected one of --passphrase, --keyring and --none", "choose how to protect it"],
  [
    "protect box --none --keyring",
    2,
    "expected one of --passphrase, --keyring and --none",
    "choose how to protect it",
  ],
];

describe("flags and arguments", () => {
  test.each(FLAGS.map(([line, ...failure]) => ({ line, failure })))(
    "tock $line",
    async ({ line, failure }) => {
      expectFailure(await tock.run(line.split(" ")), failure);
    },
  );
});

const PROFILE_HINT = "start it with a letter or digit, for example myserver";
const nameError = (name: string) =>
  `profile: expected a name of 1 to 63 letters, digits, . - and _, got ${JSON.stringify(name)}`;

describe("profile names", () => {
  test.each<readonly [string, string, string]>([
    ["none of that name", "other", 'there is no profile "other"'],
    ["a path", "../box", nameError("../box")],
    ["a hidden file", ".lock", nameError(".lock")],
    ["a device of Windows", "NUL", nameError("NUL")],
    ["nothing", "", nameError("")],
    [
      "too long",
      "a".repeat(64),
      `profile: expected a name of 1 to 63 letters, digits, . - and _, got "${"a".repeat(64)}"`,
    ],
  ])("%s", async (_case, name, message) => {
    const known = name === "other";
    expectFailure(
      await tock.run(["open", name]),
      known ? [1, message, "tock list shows them"] : [2, message, PROFILE_HINT],
    );
  });

  test("without any profile the hint says how to get one", async () => {
    await using empty = await Tock.create();
    const hint = "tock enroll - takes an enrolment link and makes one";
    expectFailure(await empty.run(["open", "box"]), [1, 'there is no profile "box"', hint]);
  });
});

test("with --json an error is JSON on standard output, and words on standard error", async () => {
  const { code, stdout, stderr } = await tock.run(["open", "box", "--for", "x", "--json"]);
  const error = {
    code: "usage",
    message: '--for: expected 1 to 65535 seconds, got "x"',
    hint: "for example --for 60 or --for 5m",
  };
  expect({ code, json: JSON.parse(stdout) as unknown }).toEqual({ code: 2, json: { ok: false, error } });
  expect(stderr).toBe(`tock: error: ${error.message}\ntock: hint: ${error.hint}\n`);
});
