import { execFile } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { tockd as argvOf } from "../lab/programs.ts";
import { type Ran, scratch, tockd } from "../support/tockd.ts";

// Everything that a person can get wrong with tockd, with what it says and the code that it ends with.

/** Lines of standard error; `!` marks the error, `?` its hint. */
const said = (...lines: string[]): string =>
  lines.map((line) => `tock: ${line.startsWith("?") ? "hint" : "error"}: ${line.slice(2)}\n`).join("");

async function check(text: string | Buffer): Promise<Ran> {
  const file = join(scratch(), "tockd.toml");
  writeFileSync(file, text, { mode: 0o600 });
  const ran = await tockd(["check", "--config", file]);
  return { ...ran, note: ran.note.replaceAll(file, "FILE") };
}

const SERVER = '[server]\nname = "s"\naddresses = ["203.0.113.7"]\n';
const SSH = '[services.ssh]\nports = ["tcp/22"]\n';
/** Six lines; what is appended stands on line 7 and belongs to the user. */
const GOOD = `${SERVER}${SSH}[users.alice]\nservices = ["ssh"]\n`;
const user = (line: string): string => `${GOOD}${line}\n`;
const service = (lines: string): string => `${SERVER}[services.ssh]\n${lines}\n`;
const server = (line: string): string => `[server]\nname = "s"\naddresses = ["203.0.113.7"]\n${line}\n${SSH}`;
const table = (lines: string): string => `${lines}\n${SERVER}${SSH}`;

const FILES: Record<string, [text: string | Buffer, ...lines: string[]]> = {
  "an unknown key": [
    user("knok = true"),
    "! FILE:8:1: users.alice.knok: unknown key",
    "? did you mean knock?",
  ],
  "an unknown key like no other": [
    server("timeout = 3"),
    "! FILE:4:1: server.timeout: unknown key",
    "? known here: name, addresses, port, state, socket, user, reply, engine",
  ],
  "a hook without the whole path of its program": [
    table('[hooks]\non_alarm = ["tell"]'),
    "! FILE:2:1: hooks.on_alarm: expected a list of texts that begins with the whole path of a program, got a list",
    "? name the program by its whole path",
  ],
  "an unknown table": [
    table("[sevices.web]"),
    "! FILE:1:1: sevices: unknown table",
    "? did you mean services?",
  ],
  "an unknown table in a table": [
    table("[firewall.iptables]"),
    "! FILE:1:1: firewall.iptables: unknown table",
    "? known here: backend, allow",
  ],
  "no server": [
    SSH,
    "! FILE:1:1: server: name is missing",
    '? add a line such as name = "myserver"',
    "! FILE:1:1: server: addresses is missing",
    '? add a line such as addresses = ["203.0.113.7"]',
  ],
  "no service": [
    SERVER,
    "! FILE:1:1: services: expected at least one service, got none",
    "? add a table such as [services.ssh]",
  ],
  "an empty file": [
    "",
    "! FILE:1:1: server: name is missing",
    '? add a line such as name = "myserver"',
    "! FILE:1:1: server: addresses is missing",
    '? add a line such as addresses = ["203.0.113.7"]',
    "! FILE:1:1: services: expected at least one service, got none",
    "? add a table such as [services.ssh]",
  ],
  "a table where text should be": [
    `${SERVER}${SSH}[server.reply]\n`,
    '! FILE:6:1: server.reply: expected "authenticated" or "never", got a table',
  ],
  "text where a table should be": [
    `knock = "yes"\n${SERVER}${SSH}`,
    '! FILE:1:1: knock: expected a table, got "yes"',
    "? write [knock] on a line of its own",
  ],
  "a list of tables where a table should be": [
    `[[knock]]\n${SERVER}${SSH}`,
    "! FILE:1:1: knock: expected a table, got a list",
    "? write [knock] on a line of its own",
  ],
  "a server name with a space": [
    '[server]\nname = "my server"\naddresses = ["h"]\n' + SSH,
    '! FILE:2:1: server.name: expected a name of 1 to 63 letters, digits, ., - and _, got "my server"',
    "? start it with a letter or digit, for example myserver",
  ],
  "an address with a port": [
    `[server]\nname = "s"\naddresses = ["203.0.113.7:22"]\n${SSH}`,
    '! FILE:3:14: server.addresses[0]: expected an IP address or a host name, got "203.0.113.7:22"',
    "? without a port: that is [server] port",
  ],
  "no address": [
    `[server]\nname = "s"\naddresses = []\n${SSH}`,
    "! FILE:3:1: server.addresses: expected a list of 1 to 8 items, got an empty list",
    '? for example ["203.0.113.7", "vpn.example.org"]',
  ],
  "one address that is no list": [
    `[server]\nname = "s"\naddresses = "203.0.113.7"\n${SSH}`,
    '! FILE:3:1: server.addresses: expected a list of 1 to 8 items, got "203.0.113.7"',
    '? for example ["203.0.113.7", "vpn.example.org"]',
  ],
  "too many addresses": [
    `[server]\nname = "s"\naddresses = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]\n${SSH}`,
    "! FILE:3:1: server.addresses: expected a list of 1 to 8 items, got 9",
    '? for example ["203.0.113.7", "vpn.example.org"]',
  ],
  "port 0": [server("port = 0"), "! FILE:4:1: server.port: expected a whole number from 1 to 65535, got 0"],
  "port 65536": [
    server("port = 65536"),
    "! FILE:4:1: server.port: expected a whole number from 1 to 65535, got 65536",
  ],
  "a port in quotes": [
    server('port = "22"'),
    '! FILE:4:1: server.port: expected a whole number from 1 to 65535, got "22"',
  ],
  "half a port": [
    server("port = 22.5"),
    "! FILE:4:1: server.port: expected a whole number from 1 to 65535, got 22.5",
  ],
  "a state folder that is not absolute": [
    server('state = "state"'),
    '! FILE:4:1: server.state: expected an absolute path, got "state"',
    "? for example /var/lib/tock",
  ],
  "a socket path that the kernel would cut": [
    server(`socket = "/${"x".repeat(107)}"`),
    `! FILE:4:1: server.socket: expected an absolute path of at most 107 bytes, got "/${"x".repeat(60)}…"`,
    "? for example /run/tock/tockd.sock",
  ],
  "a reply of another kind": [
    server('reply = "always"'),
    '! FILE:4:1: server.reply: expected "authenticated" or "never", got "always"',
  ],
  "a skew window of five steps": [
    table("[clock]\npast = 5\nfuture = -1"),
    "! FILE:2:1: clock.past: expected a whole number from 0 to 4, got 5",
    "? steps of 30 seconds",
    "! FILE:3:1: clock.future: expected a whole number from 0 to 4, got -1",
    "? steps of 30 seconds",
  ],
  "a knock range turned round": [
    table('[knock]\nports = "32767-10000"'),
    '! FILE:2:1: knock.ports: expected FIRST-LAST such as "10000-32767", got "32767-10000"',
    '? did you mean "10000-32767"?',
  ],
  "a knock range that is one port": [
    table("[knock]\nports = 10000"),
    '! FILE:2:1: knock.ports: expected FIRST-LAST such as "10000-32767", got 10000',
    "? ports go from 1 to 65535",
  ],
  "a knock range that could be guessed": [
    table('[knock]\nports = "10000-11022"'),
    "! FILE:2:1: knock.ports: expected a range of at least 1024 ports, got 1023",
    "? a shorter one could be guessed; the default is 10000-32767",
  ],
  "a knock sequence of two, and of nine": [
    table("[knock]\nlength = 2"),
    "! FILE:2:1: knock.length: expected a whole number from 3 to 8, got 2",
    "? ports in a sequence",
  ],
  "knocks by ICMP": [
    table('[knock]\ntransport = "icmp"'),
    '! FILE:2:1: knock.transport: expected "tcp", "udp" or "both", got "icmp"',
  ],
  "a backend that there is not": [
    table('[firewall]\nbackend = "pf"'),
    '! FILE:2:1: firewall.backend: expected "iptables", "nftables" or "dry-run", got "pf"',
  ],
  "secrets that end before they rotate": [
    table('[rotation]\nrotate_after = "90d"\nexpire_after = "30d"'),
    '! FILE:3:1: rotation.expire_after: expected longer than rotate_after = "90d", got "30d"',
    "? a device needs time between the two to rotate by itself",
  ],
  "a rotation without unit": [
    table("[rotation]\nrotate_after = 90"),
    '! FILE:2:1: rotation.rotate_after: expected a duration such as "30d", or "never", got 90',
    '? write it as text with a unit: "90s"',
  ],
  "a service name in capitals": [
    `${SERVER}[services.SSH]\nports = ["tcp/22"]\n`,
    '! FILE:4:1: services.SSH: expected a name of 1 to 16 of a-z, 0-9, - and _, got "SSH"',
    "? start it with a letter or digit, for example ssh",
  ],
  "a service without ports": [
    `${SERVER}[services.ssh]\n`,
    "! FILE:4:1: services.ssh: ports is missing",
    '? add a line such as ports = ["tcp/22"]',
  ],
  "ports without protocol, turned round, and out of range": [
    service('ports = ["22", "80/tcp", "udp/61000-60000", "tcp/0", "tcp/65536", 443, "tcp/1-2-3"]'),
    '! FILE:5:10: services.ssh.ports[0]: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got "22"',
    '? did you mean "tcp/22"?',
    '! FILE:5:16: services.ssh.ports[1]: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got "80/tcp"',
    '? did you mean "tcp/80"?',
    '! FILE:5:26: services.ssh.ports[2]: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got "udp/61000-60000"',
    '? did you mean "udp/60000-61000"?',
    '! FILE:5:45: services.ssh.ports[3]: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got "tcp/0"',
    '? ports go from 1 to 65535, for example "tcp/22" or "udp/60000-61000"',
    '! FILE:5:54: services.ssh.ports[4]: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got "tcp/65536"',
    '? ports go from 1 to 65535, for example "tcp/22" or "udp/60000-61000"',
    "! FILE:5:67: services.ssh.ports[5]: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got 443",
    '? did you mean "tcp/443"?',
    '! FILE:5:72: services.ssh.ports[6]: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got "tcp/1-2-3"',
    '? ports go from 1 to 65535, for example "tcp/22" or "udp/60000-61000"',
  ],
  "a lifetime that is a number": [
    service('ports = ["tcp/22"]\nttl = 30'),
    '! FILE:6:1: services.ssh.ttl: expected a duration such as "30s", "10m", "2h" or "90d", got 30',
    '? write it as text with a unit: "30s"',
  ],
  "a lifetime of nothing": [
    service('ports = ["tcp/22"]\nttl = "0s"'),
    '! FILE:6:1: services.ssh.ttl: expected a duration such as "30s", "10m", "2h" or "90d", got "0s"',
    "? one whole number and one unit: s, m, h, d or w",
  ],
  "a lifetime that a packet cannot carry": [
    service('ports = ["tcp/22"]\nmax_ttl = "1d"'),
    '! FILE:6:1: services.ssh.max_ttl: expected a lifetime from "1s" to "18h", got "1d"',
    "? one whole number and one unit: s, m, h, d or w",
  ],
  "a lifetime over its cap": [
    service('ports = ["tcp/22"]\nttl = "1h"\nmax_ttl = "10m"'),
    '! FILE:6:1: services.ssh.ttl: 1h is over the cap, max_ttl = "10m"',
    "? raise max_ttl or lower ttl (the default is 30s)",
  ],
  "services that overlap": [
    `${SERVER}${SSH}[services.all]\nports = ["tcp/1-100"]\n`,
    "! FILE:7:10: services.all.ports[0]: tcp/1-100 overlaps tcp/22 of services.ssh",
    "? a port belongs to one service: opening one would open the other",
  ],
  "a service that overlaps itself": [
    service('ports = ["tcp/22", "tcp/20-30"]'),
    "! FILE:5:20: services.ssh.ports[1]: tcp/20-30 overlaps tcp/22 of this service",
    "? a port belongs to one service: opening one would open the other",
  ],
  "a service on the SPA port": [
    service('ports = ["udp/60000-63000"]'),
    "! FILE:5:10: services.ssh.ports[0]: udp/60000-63000 holds udp/62201, where SPA packets arrive",
    "? choose another [server] port: it never opens for anybody",
  ],
  "a service in the knock range": [
    `${SERVER}[services.game]\nports = ["udp/25565"]\n[users.alice]\nservices = ["game"]\nknock = true\n`,
    "! FILE:5:10: services.game.ports[0]: udp/25565 overlaps the knock range 10000-32767",
    "? choose a range without it for [knock] ports: the guard drops all of it",
  ],
  "the SPA port in the knock range": [
    `${server("port = 20000")}[users.alice]\nservices = ["ssh"]\nknock = true\n[knock]\ntransport = "both"\n`,
    "! FILE:4:1: server.port: udp/20000 lies inside the knock range 10000-32767",
    "? choose another port, or another range for [knock] ports",
  ],
  "a user's name in capitals": [
    `${SERVER}${SSH}[users.Alice]\nservices = ["ssh"]\n`,
    '! FILE:6:1: users.Alice: expected a name of 1 to 32 of a-z, 0-9, ., - and _, got "Alice"',
    "? start it with a letter or digit, lower case, for example alice",
  ],
  "a user without services": [
    `${SERVER}${SSH}[users.alice]\n`,
    "! FILE:6:1: users.alice: services is missing",
    '? add a line such as services = ["ssh"]',
  ],
  "a user with a service that there is not": [
    `${SERVER}${SSH}[users.alice]\nservices = ["ssh", "shh", "mail"]\n`,
    '! FILE:7:20: users.alice.services[1]: there is no service "shh"',
    '? did you mean "ssh"?',
    '! FILE:7:27: users.alice.services[2]: there is no service "mail"',
    "? add a table [services.mail]",
  ],
  "a user with a service twice": [
    `${SERVER}${SSH}[users.alice]\nservices = ["ssh", "ssh"]\n`,
    '! FILE:7:20: users.alice.services[1]: "ssh" is listed twice',
    "? once is enough",
  ],
  "a user who expires in 90 days": [
    user('expires = "90d"'),
    '! FILE:8:1: users.alice.expires: expected a date such as 2027-01-31 or 2027-01-31T18:00:00Z, got "90d"',
    "? a file does not know when it was written: give the date itself",
  ],
  "a user who expires at a time of day": [
    user("expires = 18:00:00"),
    "! FILE:8:1: users.alice.expires: expected a date such as 2027-01-31 or 2027-01-31T18:00:00Z, got 18:00:00.000",
    "? year, month, day; UTC unless it has an offset; a date alone is its first moment",
  ],
  "a user who expires on a day that there is not": [
    user("expires = 2027-02-30"),
    "! FILE:8:1: users.alice.expires: expected a day that exists, got 2027-02-30",
  ],
  "a network with bits set after its prefix": [
    user('networks = ["192.0.2.1/24"]'),
    '! FILE:8:13: users.alice.networks[0]: expected a prefix with no bits set after it, got "192.0.2.1/24"',
    "? did you mean 192.0.2.0/24?",
  ],
  "a network with too long a prefix": [
    user('deny = ["192.0.2.0/33"]'),
    '! FILE:8:9: users.alice.deny[0]: expected an IP address or a prefix such as 192.0.2.0/24, got "192.0.2.0/33"',
  ],
  "a network that is a host name": [
    user('networks = ["example.org"]'),
    '! FILE:8:13: users.alice.networks[0]: expected an IP address or a prefix such as 192.0.2.0/24, got "example.org"',
  ],
  "a flag that is text": [
    user('knock = "yes"'),
    '! FILE:8:1: users.alice.knock: expected true or false, got "yes"',
  ],
  "everybody as a network that needs no grant": [
    table('[firewall]\nallow = ["198.51.100.0/24", "0.0.0.0/0", "::/0"]'),
    '! FILE:2:29: firewall.allow[1]: expected a part of all addresses, got "0.0.0.0/0"',
    "? this would leave the ports open to everybody: name the networks that you come from",
    '! FILE:2:42: firewall.allow[2]: expected a part of all addresses, got "::/0"',
    "? this would leave the ports open to everybody: name the networks that you come from",
  ],
  "a service that leads to itself": [
    service('ports = ["tcp/2222"]\nto = "tcp/127.0.0.1:22"'),
    '! FILE:6:1: services.ssh.to: expected the address of another host, got "tcp/127.0.0.1:22"',
    '? for example "tcp/10.1.2.3:22" or "tcp/[fd00::3]:22"',
  ],
  "a service that leads to two hosts": [
    service('ports = ["tcp/2222"]\nto = ["tcp/10.1.2.3:22", "tcp/10.1.2.4:22"]'),
    "! FILE:6:1: services.ssh.to: expected one target for each of IPv4 and IPv6, got a list",
    '? for example "tcp/10.1.2.3:22" or "tcp/[fd00::3]:22"',
  ],
  "a service that leads to no port": [
    service('ports = ["tcp/2222"]\nto = "10.1.2.3"'),
    '! FILE:6:1: services.ssh.to: expected tcp/ADDRESS:PORT or udp/ADDRESS:PORT, or a list of one for IPv4 and one for IPv6, got "10.1.2.3"',
    '? for example "tcp/10.1.2.3:22" or "tcp/[fd00::3]:22"',
  ],
  "a service of several ports that leads to one": [
    service('ports = ["tcp/22-23"]\nforward = true\nto = "udp/10.1.2.3:22"'),
    "! FILE:5:1: services.ssh.ports: expected a single port where the service has to",
    "? make a service for each port that leads to another host",
    "! FILE:6:1: services.ssh.forward: does not go together with to",
    "? give the ports of hosts behind this machine a service of their own, with forward alone",
    "! FILE:7:1: services.ssh.to: expected the protocol of its port, tcp, got udp/10.1.2.3:22",
    '? did you mean "tcp/10.1.2.3:22"?',
  ],
  "a service that forwards to no network": [
    service('ports = ["tcp/22"]\nforward = []'),
    "! FILE:6:1: services.ssh.forward: expected true, false or a list of 1 to 64 networks, got an empty list",
    '? for example true, or the networks behind this machine: ["10.1.2.0/24", "fd00:1:2::/64"]',
  ],
  "hosts behind the machine, and the kernel engine": [
    `${server('engine = "kernel"')}forward = true\n[services.b]\nports = ["tcp/23"]\nto = "tcp/10.1.2.3:22"\n[users.alice]\nservices = ["ssh"]\nknock = true\n`,
    "! FILE:7:1: services.ssh.forward: the kernel engine guards this machine's own ports alone",
    '? leave it out, or take engine = "packets" under [server]',
    "! FILE:10:1: services.b.to: the kernel engine guards this machine's own ports alone",
    '? leave it out, or take engine = "packets" under [server]',
  ],
  "too many connections": [
    user("connections = 256"),
    "! FILE:8:1: users.alice.connections: expected a whole number from 0 to 255, got 256",
    "? new connections per grant; 0 = no limit",
  ],
  "an address rule that there is not": [
    user('address = "any"'),
    '! FILE:8:1: users.alice.address: expected "packet", "claimed" or "claimed-must-match", got "any"',
  ],
  "a second factor that is a flag": [
    user("second_factor = true"),
    '! FILE:8:1: users.alice.second_factor: expected "required" or "off", got true',
  ],
  "several mistakes, in the order of their lines": [
    '[server]\nname = ""\nadresses = ["h"]\n[services.ssh]\nports = ["tcp/22"]\nttl = "2h"\nmax_ttl = "1h"\n[users.bob]\nservices = ["web"]\n',
    "! FILE:1:1: server: addresses is missing",
    '? add a line such as addresses = ["203.0.113.7"]',
    '! FILE:2:1: server.name: expected a name of 1 to 63 letters, digits, ., - and _, got ""',
    "? start it with a letter or digit, for example myserver",
    "! FILE:3:1: server.adresses: unknown key",
    "? did you mean addresses?",
    '! FILE:6:1: services.ssh.ttl: 2h is over the cap, max_ttl = "1h"',
    "? raise max_ttl or lower ttl (the default is 30s)",
    '! FILE:9:13: users.bob.services[0]: there is no service "web"',
    "? add a table [services.web]",
  ],
  "control characters, which are not printed as they are": [
    user('address = "\\u001b[31m"'),
    '! FILE:8:1: users.alice.address: expected "packet", "claimed" or "claimed-must-match", got "\\u001b[31m"',
  ],
  "a value without a key": [
    `${GOOD}= 3\n`,
    "! FILE:8:1: unexpected end of key",
    "? this is not TOML; nothing after it was looked at",
  ],
  "a key twice": [
    user('services = ["ssh"]'),
    "! FILE:8:1: trying to redefine an already defined table or value",
    "? this is not TOML; nothing after it was looked at",
  ],
  "a string without end": [
    user('address = "packet'),
    "! FILE:8:18: control characters are not allowed in strings",
    "? this is not TOML; nothing after it was looked at",
  ],
  "a key that JavaScript would trip over": [
    table("__proto__ = 1"),
    "! FILE:1:1: document contains an unsafe property",
    "? this is not TOML; nothing after it was looked at",
  ],
};

describe("a configuration with", () => {
  test.each(Object.entries(FILES))("%s", async (_name, [text, ...lines]) => {
    expect(await check(text)).toEqual({ code: 2, out: "", note: said(...lines) });
  });
});

test("the configuration that all of them start from has no mistake", async () => {
  expect(await check(GOOD)).toMatchObject({ code: 0, note: "" });
});

/** A server with one device; gives its configuration file and state folder. */
async function existing(): Promise<{ config: string; state: string; folder: string }> {
  const folder = scratch();
  const [config, state] = [join(folder, "tockd.toml"), join(folder, "state")];
  const text = `${GOOD.replace("[services", `state = "${state}"\nsocket = "${folder}/sock"\n[services`)}[users.bob]\nservices = ["ssh"]\n`;
  writeFileSync(config, text, { mode: 0o600 });
  await tockd(["init", "--config", config]);
  await tockd(["device", "add", "alice/phone", "--config", config]);
  return { config, state, folder };
}

const USAGE = "? tockd --help shows the commands and options";
const COMMANDS: Record<string, [args: string, code: 1 | 2, ...lines: string[]]> = {
  "an unknown command": ["devcie", 2, "! unknown command 'devcie'", "? did you mean device?"],
  "a command like no other": ["frobnicate", 2, "! unknown command 'frobnicate'", USAGE],
  "an unknown command of a command": [
    "device ad alice/phone",
    2,
    "! unknown command 'ad'",
    "? did you mean add?",
  ],
  "an unknown flag": ["check --jsn", 2, "! unknown option '--jsn'", "? did you mean --json?"],
  "an unknown flag like no other": ["check -z", 2, "! unknown option '-z'", USAGE],
  "a flag without its value": [
    "device add alice/x --expires",
    2,
    "! option '--expires <when>' argument missing",
    USAGE,
  ],
  "no device": ["device show", 2, "! missing required argument 'user/device'", USAGE],
  "one word too many": [
    "device show alice/phone bob/phone",
    2,
    "! too many arguments for 'show': expected 1 argument but got 2",
    USAGE,
  ],
  "a device without user": [
    "device add phone",
    2,
    '! device: expected user/device, got "phone"',
    "? for example alice/phone; each part 1 to 32 of a-z, 0-9, . - and _",
  ],
  "a device in capitals": [
    "device show Alice/Phone",
    2,
    '! device: expected user/device, got "Alice/Phone"',
    "? for example alice/phone; each part 1 to 32 of a-z, 0-9, . - and _",
  ],
  "a user that there is not": [
    "device add carol/phone",
    1,
    '! there is no user "carol" in FILE',
    '? add to FILE: [users.carol] with services = ["ssh"]',
  ],
  "a user that there nearly is": [
    "device add alcie/phone",
    1,
    '! there is no user "alcie" in FILE',
    "? did you mean alice?",
  ],
  "a user whose name needs quotes": [
    "device add j.d/phone",
    1,
    '! there is no user "j.d" in FILE',
    '? add to FILE: [users."j.d"] with services = ["ssh"]',
  ],
  "a device that is there already": [
    "device add alice/phone",
    1,
    "! device alice/phone exists already",
    "? a new link for it: tockd device rotate alice/phone; or remove it first",
  ],
  "a service that the user does not have": [
    "device add alice/x --services ssh,web",
    2,
    '! --services: user alice has no service "web"',
    "? alice has: ssh",
  ],
  "a service that cannot be": [
    "device add alice/x --services SSH",
    2,
    '! service name: expected 1 to 16 of a-z, 0-9, - and _, got "SSH"',
    "? start it with a letter or digit, for example ssh",
  ],
  "an expiry that is neither date nor duration": [
    "device add alice/x --expires tomorrow",
    2,
    '! --expires: expected a duration or a date, got "tomorrow"',
    "? for example 90d, or 2027-01-31",
  ],
  "an expiry that is over": [
    "device add alice/x --expires 2026-11-22",
    2,
    '! --expires: expected a date to come, got "2026-11-22"',
    "? for example 90d, or 2027-01-31",
  ],
  "a deadline that is over": [
    "device rotate alice/phone --deadline 2020-01-01",
    2,
    '! --deadline: expected a date to come, got "2020-01-01"',
    "? for example 90d, or 2027-01-31",
  ],
  "a page that is none": [
    "device add alice/x --web example.org",
    2,
    '! --web: expected the address of a page, got "example.org"',
    "? for example https://www.example.org/tock/, with nothing after #",
  ],
  "a page with something after #": [
    "device add alice/x --web https://example.org/#x",
    2,
    '! --web: expected the address of a page, got "https://example.org/#x"',
    "? for example https://www.example.org/tock/, with nothing after #",
  ],
  "showing a device that there is not": [
    "device show alice/x",
    1,
    "! there is no device alice/x",
    "? tockd device list shows them",
  ],
  "removing a device that there is not": [
    "device remove alice/x",
    1,
    "! there is no device alice/x",
    "? tockd device list shows them",
  ],
  "disabling a device that there is not": [
    "device disable alice/x",
    1,
    "! there is no device alice/x",
    "? tockd device list shows them",
  ],
  "rotating a device that there is not": [
    "device rotate alice/x",
    1,
    "! there is no device alice/x",
    "? tockd device list shows them",
  ],
  "a second factor for nobody": [
    "user otp add alcie",
    1,
    '! there is no user "alcie" in FILE',
    "? did you mean alice?",
  ],
  "removing a second factor that there is not": [
    "user otp remove alice",
    1,
    "! user alice has no second factor",
    "? tockd user otp add alice makes one",
  ],
  "setting up a server twice": [
    "init",
    1,
    "! device store STATE/tock.db exists already",
    "? nothing was changed; to begin anew, move the state folder away",
  ],
  "the web client into a folder that there is not": [
    "web --out /proc/nonexistent/x",
    1,
    "! --out: cannot write /proc/nonexistent/x: no such file or folder",
    "? name a place that is there and that you may write to",
  ],
  "the web client where a folder is": [
    "web --out /",
    1,
    "! --out: cannot write /: it is a folder",
    "? name a place that is there and that you may write to",
  ],
  "the web client as a folder below a file": [
    "web --site /etc/passwd/x",
    1,
    "! --site: cannot write /etc/passwd/x: a part of the path is no folder",
    "? name a place that is there and that you may write to",
  ],
  "the web client on an address of another machine": [
    "web --listen 203.0.113.9:80",
    1,
    "! --listen: cannot listen on 203.0.113.9:80: this machine has no such address",
    "? for example 127.0.0.1:8080, or [::]:8443 for all of this machine's addresses",
  ],
  "the web client with a certificate that there is not": [
    "web --listen 127.0.0.1:8443 --cert /proc/nonexistent/cert --key /proc/nonexistent/key",
    1,
    "! --cert: cannot read /proc/nonexistent/cert: no such file or folder",
    "? name a PEM file that you may read",
  ],
  "the web client with a key that is a folder": [
    "web --listen 127.0.0.1:8443 --cert FILE --key /",
    1,
    "! --key: cannot read /: it is a folder",
    "? name a PEM file that you may read",
  ],
  "the web client with a certificate that is none": [
    "web --listen 127.0.0.1:8443 --cert FILE --key FILE",
    2,
    "! --cert and --key: expected a certificate chain and its private key, both PEM",
    "? the certificate first in its file, and a key that is not encrypted",
  ],
  "setting up over a configuration": [
    "init --name other",
    1,
    "! FILE exists already",
    "? edit it; or name another with --config; tockd init alone makes the state for it",
  ],
};

describe("a command line with", () => {
  test.each(Object.entries(COMMANDS))("%s", async (_name, [args, code, ...lines]) => {
    const { config, state } = await existing();
    const ran = await tockd([...args.replaceAll("FILE", config).split(" "), "--config", config]);
    const note = ran.note.replaceAll(config, "FILE").replaceAll(state, "STATE");
    expect({ ...ran, note }).toEqual({ code, out: "", note: said(...lines) });
  });
});

const FLAGS: Record<string, [args: string, ...lines: string[]]> = {
  "--port": ["--port x", '! --port: expected a whole number from 1 to 65535, got "x"'],
  "--port out of range": ["--port 70000", "! --port: expected a whole number from 1 to 65535, got 70000"],
  "--name": [
    "--name a/b",
    '! --name: expected a name of 1 to 63 letters, digits, ., - and _, got "a/b"',
    "? start it with a letter or digit, for example myserver",
  ],
  "--address": [
    "--address a:b",
    '! --address: expected an IP address or a host name, got "a:b"',
    "? without a port: that is [server] port",
  ],
  "--service without ports": [
    "--service ssh",
    '! --service: expected name=ports, got "ssh"',
    "? for example ssh=tcp/22 or web=tcp/80,tcp/443",
  ],
  "--service with a port alone": [
    "--service ssh=22",
    '! --service: expected tcp/PORT, udp/PORT or tcp/FIRST-LAST, got "22"',
    '? did you mean "tcp/22"?',
  ],
  "--service twice": ["--service ssh=tcp/22 --service ssh=tcp/23", '! --service: "ssh" is given twice'],
  "--service with a bad name": [
    "--service S=tcp/22",
    '! --service: expected a name of 1 to 16 of a-z, 0-9, - and _, got "S"',
    "? start it with a letter or digit, for example ssh",
  ],
  "--user": [
    "--user A",
    '! --user: expected a name of 1 to 32 of a-z, 0-9, ., - and _, got "A"',
    "? start it with a letter or digit, lower case, for example alice",
  ],
  "--backend": ["--backend pf", '! --backend: expected "iptables", "nftables" or "dry-run", got "pf"'],
  "--state": [
    "--state here",
    '! --state: expected an absolute path, got "here"',
    "? for example /var/lib/tock",
  ],
  "several flags": [
    "--port 0 --backend pf",
    "! --port: expected a whole number from 1 to 65535, got 0",
    '! --backend: expected "iptables", "nftables" or "dry-run", got "pf"',
  ],
};

describe("tockd init with a wrong", () => {
  test.each(Object.entries(FLAGS))("%s", async (_name, [args, ...lines]) => {
    const folder = scratch();
    const usual = [
      "--config",
      join(folder, "tockd.toml"),
      "--address",
      "203.0.113.7",
      "--state",
      join(folder, "s"),
    ];
    const ran = await tockd(["init", ...usual, ...args.split(" ")]);
    expect(ran).toEqual({ code: 2, out: "", note: said(...lines) });
  });
});

type Harm = (at: { config: string; state: string; folder: string }) => void;
const HARMS: Record<string, [harm: Harm, code: 1 | 2, ...lines: string[]]> = {
  "no configuration": [
    ({ config }) => rmSync(config),
    1,
    "! FILE: no such file",
    "? make one with tockd init, or name yours with --config FILE",
  ],
  "a folder for a configuration": [
    ({ config }) => {
      rmSync(config);
      mkdirSync(config);
    },
    1,
    "! FILE: expected a regular file",
    "? name the file itself: --config FILE",
  ],
  "a configuration that others can write": [
    ({ config }) => chmodSync(config, 0o666),
    1,
    "! FILE: the file can be written by others (mode 0666)",
    "? whoever can write it can open ports: chown root, chmod go-w",
  ],
  "a configuration that is no text": [
    ({ config }) => writeFileSync(config, Buffer.from([0xff])),
    2,
    "! FILE: expected UTF-8 text",
    "? save the file as UTF-8",
  ],
  "a mistake in the configuration": [
    ({ config }) => appendFileSync(config, "x = 1\n"),
    2,
    "! FILE:12:1: users.bob.x: unknown key",
    "? known here: services, enabled, expires, networks, deny, knock, hours, timezone, connections, address, widen, bind, max_ttl, second_factor",
  ],
  "no state folder": [
    ({ state }) => rmSync(state, { recursive: true }),
    1,
    "! STATE/tock.db: no such file or folder",
    "? tockd init makes it",
  ],
  "a state folder that others can read": [
    ({ state }) => chmodSync(state, 0o750),
    1,
    "! STATE: expected mode 0700, got 0750: others could read its secrets",
    "? chmod 0700 STATE",
  ],
  "a device store that others can read": [
    ({ state }) => chmodSync(join(state, "tock.db"), 0o644),
    1,
    "! STATE/tock.db: expected mode 0600, got 0644: others could read its secrets",
    "? chmod 0600 STATE/tock.db",
  ],
  "a device store that is a link": [
    ({ state }) => {
      rmSync(join(state, "tock.db"));
      symlinkSync("/etc/shadow", join(state, "tock.db"));
    },
    1,
    "! STATE/tock.db: expected a regular file with one name, not a link",
  ],
  "a damaged device store": [
    ({ state }) => truncateSync(join(state, "tock.db"), 5000),
    1,
    "! device store STATE/tock.db: damaged",
    "? restore a backup, or enrol the devices anew after tockd init",
  ],
  "a device store that is something else": [
    ({ state }) => writeFileSync(join(state, "tock.db"), "hello\n".repeat(1000)),
    1,
    "! device store STATE/tock.db: damaged: not a database",
    "? restore a backup, or enrol the devices anew after tockd init",
  ],
};

describe("tockd device list with", () => {
  test.each(Object.entries(HARMS))("%s", async (_name, [harm, code, ...lines]) => {
    const at = await existing();
    harm(at);
    const ran = await tockd(["device", "list", "--config", at.config]);
    const note = ran.note.replaceAll(at.config, "FILE").replaceAll(at.state, "STATE");
    expect({ ...ran, note }).toEqual({ code, out: "", note: said(...lines) });
  });
});

test("a daemon that cannot be told is said aloud, and the change is kept", async () => {
  const { config, folder } = await existing();
  const dumb = createServer((socket) => socket.destroy()).listen(join(folder, "sock"));
  onTestFinished(() => void dumb.close());
  await once(dumb, "listening");
  const ran = await tockd(["device", "disable", "alice/phone", "--config", config]);
  expect(ran).toMatchObject({ code: 0, out: "" });
  expect(ran.note).toMatch(
    /^tock: warning: the change is stored, but the running daemon was not told: .*\ntock: hint: it takes effect when the daemon is started again\nalice\/phone is disabled\n$/,
  );
});

describe("the program itself", () => {
  const real = (...args: string[]): Promise<{ code: number; out: string; note: string }> =>
    new Promise((resolve) => {
      const [program, ...rest] = argvOf(...args);
      execFile(program, rest, (error, out, note) => resolve({ code: Number(error?.code ?? 0), out, note }));
    });

  test("ends with the same codes and words, and never with a stack trace", async () => {
    const { config } = await existing();
    expect(await real("check", "--config", config)).toMatchObject({ code: 0, note: "" });
    appendFileSync(config, "x = 1\n");
    const wrong = await real("check", "--config", config);
    expect(wrong.code).toBe(2);
    expect(wrong.note).toMatch(
      /^tock: error: .*:12:1: users\.bob\.x: unknown key\ntock: hint: known here: .*\n$/,
    );
    const missing = await real("device", "list", "--config", `${config}.none`);
    expect(missing).toMatchObject({ code: 1, out: "" });
    expect(missing.note).toBe(
      `tock: error: ${config}.none: no such file\ntock: hint: make one with tockd init, or name yours with --config FILE\n`,
    );
  });

  test("without a command says what there is", async () => {
    const { code, out, note } = await real();
    expect([code, out]).toEqual([2, ""]);
    expect(note).toMatch(/^Usage: tockd /);
  });
});
