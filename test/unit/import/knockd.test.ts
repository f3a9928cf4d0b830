import { describe, expect, test } from "vitest";
import { parseSettings } from "../../../server/config/parse.ts";
import { importKnockd } from "../../../server/import/knockd.ts";
import { importedToml } from "../../../server/import/toml.ts";
import { formatPortRange } from "../../../shared/port-range.ts";
import type { Result } from "../../../shared/result.ts";

/** Configurations as knockd's manual and its users write them, and what they come to. */

/** What a file came to; what is wrong with it fails the test. */
function right<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

interface Case {
  readonly name: string;
  readonly text: string;
  readonly services: Readonly<Record<string, string>>;
  readonly transport?: "tcp" | "udp" | "both";
  readonly hooks?: Readonly<Record<string, readonly string[]>>;
  /** What is told, by its line. */
  readonly notes: Readonly<Record<number, RegExp>>;
}

const cases: readonly Case[] = [
  {
    name: "Debian's own file: open and close, and a command of somebody's own",
    text: `[options]
	UseSyslog

[openSSH]
	sequence    = 7000,8000,9000
	seq_timeout = 5
	command     = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT
	tcpflags    = syn

[closeSSH]
	sequence    = 9000,8000,7000
	seq_timeout = 5
	command     = /sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT
	tcpflags    = syn

[openHTTPS]
	sequence    = 12345,54321,24680,13579
	seq_timeout = 5
	command     = /usr/local/sbin/knock_add -i -c INPUT -p tcp -d 443 -f %IP%
	tcpflags    = syn
`,
    services: { ssh: "tcp/22 for 30s" },
    notes: { 2: /journal/, 5: /works once/, 7: /never shut/, 10: /tock close/, 19: /TOCK_ADDRESS/ },
  },
  {
    name: "the manual's first example, without -p",
    text: `[options]
     logfile = /var/log/knockd.log
[openSSH]
     sequence    = 7000,8000,9000
     seq_timeout = 10
     tcpflags    = syn
     command     = /sbin/iptables -A INPUT -s %IP% --dport 22 -j ACCEPT
[closeSSH]
     sequence    = 9000,8000,7000
     command     = /sbin/iptables -D INPUT -s %IP% --dport 22 -j ACCEPT
`,
    services: { ssh: "tcp/22 for 30s" },
    notes: { 2: /journal/, 5: /10 seconds/, 8: /tock close/ },
  },
  {
    name: "the manual's second example: every port at once",
    text: `[opencloseSSH]
     sequence      = 2222:udp,3333:tcp,4444:udp
     seq_timeout   = 15
     tcpflags      = syn,ack
     start_command = /usr/sbin/iptables -A INPUT -s %IP% -p tcp --syn -j ACCEPT
     cmd_timeout   = 5
     stop_command  = /usr/sbin/iptables -D INPUT -s %IP% -p tcp --syn -j ACCEPT
`,
    services: {},
    transport: "both",
    notes: { 5: /every port/, 7: /every port/ },
  },
  {
    name: "the manual's third example: one-time sequences",
    text: `[options]
     logfile = /var/log/knockd.log
[opencloseSMTP]
     one_time_sequences = /etc/knockd/smtp_sequences
     seq_timeout        = 15
     tcpflags           = fin,!ack
     start_command      = /usr/sbin/iptables -A INPUT -s %IP% -p tcp --dport 25 -j ACCEPT
     cmd_timeout        = 5
     stop_command       = /usr/sbin/iptables -D INPUT -s %IP% -p tcp --dport 25 -j ACCEPT
`,
    services: { smtp: "tcp/25 for 5s" },
    notes: { 4: /no list that runs out/, 6: /SYN/ },
  },
  {
    name: "the manual's fourth example: IPv6 with a command of its own",
    text: `[opencloseSMTP]
     one_time_sequences = /etc/knockd/smtp_sequences
     start_command      = /usr/sbin/iptables -A INPUT -s %IP% -p tcp --dport 25 -j ACCEPT
     start_command_6    = /usr/sbin/ip6tables -A INPUT -s %IP% -p tcp --dport 25 -j ACCEPT
     cmd_timeout        = 5
     stop_command       = /usr/sbin/iptables -D INPUT -s %IP% -p tcp --dport 25 -j ACCEPT
     stop_command_6     = /usr/sbin/ip6tables -D INPUT -s %IP% -p tcp --dport 25 -j ACCEPT
`,
    services: { smtp: "tcp/25 for 5s" },
    notes: { 2: /no list/ },
  },
  {
    name: "ufw, with udp knocks",
    text: `[options]
interface = enp3s0
[SSH]
sequence = 5438:udp,3428:udp,3280:udp,4479:udp
start_command = ufw insert 1 allow from %IP% to any port 2222 proto tcp
cmd_timeout = 20
stop_command = ufw delete allow from %IP% to any port 2222 proto tcp
`,
    services: { ssh: "tcp/2222 for 20s" },
    transport: "udp",
    notes: { 2: /every interface/ },
  },
  {
    name: "two ports by two commands for a shell, and one by multiport",
    text: `[openWeb]
sequence = 1111,2222,3333
command = /sbin/iptables -I INPUT -s %IP% -p tcp -m multiport --dports 80,443 -j ACCEPT && /sbin/iptables -I INPUT -s %IP% -p udp --dport 443 -j ACCEPT
[openMosh]
sequence = 1111,2222,4444
command = /sbin/iptables -I INPUT -s %IP% -p udp --dport 60000:61000 -j ACCEPT; /sbin/iptables -I INPUT -s %IP% -p tcp --dport 443 -j ACCEPT
`,
    services: { web: "tcp/80 tcp/443 udp/443 for 30s", mosh: "udp/60000-61000 for 30s" },
    notes: { 3: /never shut/, 6: /never shut/ },
  },
  {
    name: "wake on lan: a program that a hook can run as it is, next to nothing that opens",
    text: `[wakeServer]
sequence = 7000,8000,9000
target = 192.0.2.9
command = /usr/sbin/etherwake -i eth0 aa:bb:cc:dd:ee:ff
`,
    services: {},
    hooks: { onGrant: ["/usr/sbin/etherwake", "-i", "eth0", "aa:bb:cc:dd:ee:ff"] },
    notes: { 3: /runs on/, 4: /nobody/ },
  },
  {
    name: "a pipe is no hook, forwarding and DNAT are no service",
    text: `[mail]
sequence = 7000,8000,9000
command = echo "knock from %IP%" | mail -s knock root
[restart]
sequence = 7000,8000,9001
command = /bin/systemctl restart nginx; /usr/bin/logger done
[rdp]
sequence = 7000,8000,9002
command = /sbin/iptables -t nat -A PREROUTING -s %IP% -p tcp --dport 3389 -j DNAT --to 192.0.2.8:3389
[router]
sequence = 7000,8000,9003
command = /sbin/iptables -I FORWARD -s %IP% -p tcp --dport 22 -j ACCEPT
[ban]
sequence = 7000,8000,9004
command = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j DROP
`,
    services: {},
    notes: {
      3: /TOCK_ADDRESS/,
      6: /without a shell/,
      9: /a service with to/,
      12: /one with forward/,
      15: /only opens/,
    },
  },
  {
    name: "nft and firewalld",
    text: `[nftSSH]
sequence = 7000,8000,9000
start_command = /usr/sbin/nft insert rule inet filter input ip saddr %IP% tcp dport { 22, 2222 } accept
cmd_timeout = 3600
stop_command = /usr/local/bin/nft-remove %IP%
[fd]
sequence = 7000,8000,9001
start_command = firewall-cmd --add-rich-rule='rule family="ipv4" source address="%IP%" port port="8443" protocol="tcp" accept'
cmd_timeout = 3600
stop_command = firewall-cmd --remove-rich-rule='rule family="ipv4" source address="%IP%" port port="8443" protocol="tcp" accept'
`,
    services: { nftssh: "tcp/22 tcp/2222 for 3600s", fd: "tcp/8443 for 3600s" },
    notes: { 5: /TOCK_ADDRESS/ },
  },
];

describe("tockd import knockd", () => {
  test.each(cases)("$name", ({ text, services, transport = "tcp", hooks = {}, notes }) => {
    const imported = right(importKnockd(text, "owner"));
    const made = imported.services.map(({ name, ports, ttl }) => [
      name,
      `${ports.map(formatPortRange).join(" ")} for ${ttl ?? 30}s`,
    ]);
    expect(Object.fromEntries(made)).toEqual(services);
    expect(imported.transport).toBe(transport);
    expect(imported).toMatchObject(hooks);
    for (const [line, pattern] of Object.entries(notes)) {
      const told = imported.notes.filter((note) => note.line === Number(line)).map(({ why }) => why);
      expect(told.join("\n"), `line ${line}`).toMatch(pattern);
    }
    if (imported.services.length === 0) return;
    const server = { name: "home", addresses: ["192.0.2.1"] };
    const settings = parseSettings(importedToml("knockd.conf", imported, server), "tockd.toml");
    expect(right(settings).users).toMatchObject([
      { name: "owner", mayKnock: true, services: Object.keys(services) },
    ]);
  });

  const wrong: Readonly<Record<string, readonly [text: string, line: number, message: RegExp]>> = {
    "a setting before any door": ["sequence = 1,2,3\n", 1, /before the first/],
    "a line that is nothing": ["[a]\nsequence = 1,2,3\nopen sesame\n", 3, /key = value/],
    "an unknown setting": ["[a]\nsequence = 1,2,3\nsequenz = 1\n", 3, /sequenz/],
    "an unknown option": ["[options]\nloglevel = 3\n", 2, /loglevel/],
    "a port that is none": ["[a]\nsequence = 7000,80000\n", 2, /80000/],
    "a door without a sequence": ["[a]\ncommand = /bin/true\n", 1, /neither/],
    "a time that is none": ["[a]\nsequence = 1,2\ncmd_timeout = soon\n", 3, /cmd_timeout/],
    "a door twice": ["[a]\nsequence = 1,2\n[a]\nsequence = 1,2\n", 3, /twice/],
    "an empty file": ["", 1, /no \[name\]/],
  };
  test("knocks are moved away from a service's port", () => {
    const text =
      "[openWeb]\nsequence = 1,2,3\ncommand = iptables -A INPUT -s %IP% -p tcp --dport 12345 -j ACCEPT\n";
    const toml = importedToml("knockd.conf", right(importKnockd(text, "owner")), {
      name: "home",
      addresses: ["192.0.2.1"],
    });
    expect(parseSettings(toml, "tockd.toml")).toMatchObject({
      ok: true,
      value: { knock: { first: 32_768 } },
    });
  });

  test.each(Object.entries(wrong))("%s is an error with its line", (_, [text, line, message]) => {
    const refused = importKnockd(text, "owner");
    expect(refused.ok).toBe(false);
    if (refused.ok) return;
    expect(refused.error[0]?.line).toBe(line);
    expect(refused.error[0]?.message).toMatch(message);
  });
});
