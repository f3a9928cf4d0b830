import { describe, expect, test } from "vitest";
import { parseSettings } from "../../../server/config/parse.ts";
import { importFwknop } from "../../../server/import/fwknop.ts";
import { ACCESS_NOTES, FWKNOPD_NOTES } from "../../../server/import/fwknop-notes.ts";
import { importedToml } from "../../../server/import/toml.ts";
import { formatPortRange } from "../../../shared/port-range.ts";
import type { Result } from "../../../shared/result.ts";

/** Configurations as fwknop's manual, its tutorial and its tests write them, and what they come to. */

const SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";

/** What a file came to; what is wrong with it fails the test. */
function right<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

interface Case {
  readonly name: string;
  readonly access: string;
  readonly fwknopd?: string;
  readonly services: Readonly<Record<string, string>>;
  readonly users: Readonly<Record<string, object>>;
  readonly port?: number;
  readonly hooks?: object;
  readonly notes: readonly RegExp[];
}

const cases: readonly Case[] = [
  {
    name: "the smallest stanza of the tutorial",
    access: `SOURCE              ANY\nOPEN_PORTS          tcp/22\nKEY_BASE64          ${SECRET}\nHMAC_KEY_BASE64     ${SECRET}\n`,
    services: { ssh: "tcp/22 for 30s" },
    users: { user1: { services: ["ssh"], networks: [] } },
    notes: [/KEY_BASE64: secrets are not carried over/, /a stanza has no name/],
  },
  {
    name: "networks, a user, a time, an expiry and a cap",
    access: `SOURCE: 192.0.2.0/24, 198.51.100.7;
OPEN_PORTS: tcp/22, udp/1194;
REQUIRE_USERNAME: Alice;
REQUIRE_SOURCE_ADDRESS: Y;
FW_ACCESS_TIMEOUT: 60;
MAX_FW_TIMEOUT: 300;
ACCESS_EXPIRE: 12/31/2030;
KEY: ${SECRET};
`,
    services: { alice: "tcp/22 udp/1194 for 60s" },
    users: {
      alice: {
        networks: ["192.0.2.0/24", "198.51.100.7/32"],
        expires: "2030-12-31",
        address: "claimed-must-match",
      },
    },
    notes: [/a packet must name the address/],
  },
  {
    name: "a range that holds the port of SPA packets",
    access: `SOURCE ANY\nOPEN_PORTS tcp/22, udp/60000:65535\nREQUIRE_USERNAME alice\n`,
    services: { alice: "tcp/22 udp/60000-62200 udp/62202-65535 for 30s" },
    users: { alice: { services: ["alice"], networks: [] } },
    notes: [/udp\/62201: SPA packets arrive there/],
  },
  {
    name: "several stanzas that share ports, each with its own time",
    access: `SOURCE ANY
REQUIRE_USERNAME alice
OPEN_PORTS tcp/22
FW_ACCESS_TIMEOUT 30
SOURCE ANY
REQUIRE_USERNAME bob
OPEN_PORTS tcp/22,tcp/443
FW_ACCESS_TIMEOUT 3600
ACCESS_EXPIRE_EPOCH 1924992000
SOURCE 0.0.0.0/0
REQUIRE_USERNAME alice
OPEN_PORTS tcp/443
`,
    services: { ssh: "tcp/22 for 3600s", https: "tcp/443 for 3600s" },
    users: {
      alice: { services: ["ssh"], maxTtl: 30 },
      bob: { services: ["ssh", "https"], expires: "2031-01-01T00:00:00Z" },
      "alice-2": { services: ["https"], networks: [] },
    },
    notes: [],
  },
  {
    name: "a stanza with a part of another's ports, which gets no more than that",
    access: `SOURCE 192.0.2.0/24
REQUIRE_USERNAME admin
OPEN_PORTS tcp/22,tcp/3306,tcp/6000-6010
SOURCE ANY
REQUIRE_USERNAME guest
OPEN_PORTS tcp/22
SOURCE ANY
REQUIRE_USERNAME viewer
OPEN_PORTS tcp/6005-6020,tcp/6015-6025
`,
    services: {
      admin: "tcp/3306 tcp/6000-6004 for 30s",
      ssh: "tcp/22 for 30s",
      viewer: "tcp/6005-6010 for 30s",
      "viewer-2": "tcp/6011-6020 tcp/6021-6025 for 30s",
    },
    users: {
      admin: { services: ["admin", "ssh", "viewer"] },
      guest: { services: ["ssh"] },
      viewer: { services: ["viewer", "viewer-2"] },
    },
    notes: [],
  },
  {
    name: "GnuPG",
    access: `SOURCE ANY
OPEN_PORTS tcp/22
GPG_HOME_DIR /root/.gnupg
GPG_DECRYPT_ID ABCD1234
GPG_DECRYPT_PW ${SECRET}
GPG_ALLOW_NO_PW N
GPG_REMOTE_ID 1234ABCD
GPG_REQUIRE_SIG Y
`,
    services: { ssh: "tcp/22 for 30s" },
    users: { user1: {} },
    notes: [/GPG_DECRYPT_PW: there is no GnuPG/],
  },
  {
    name: "commands in packets are refused",
    access: `SOURCE ANY
OPEN_PORTS tcp/22
ENABLE_CMD_EXEC Y
CMD_EXEC_USER nobody
ENABLE_CMD_SUDO_EXEC Y
`,
    services: { ssh: "tcp/22 for 30s" },
    users: { user1: {} },
    notes: [/ENABLE_CMD_EXEC: a packet can ask for services and for nothing else/],
  },
  {
    name: "a command cycle that opens, and one that runs a program",
    access: `SOURCE ANY
OPEN_PORTS tcp/2222
CMD_CYCLE_OPEN /usr/local/bin/lamp on
CMD_CYCLE_CLOSE /usr/local/bin/lamp off
CMD_CYCLE_TIMER 120
`,
    services: { user1: "tcp/2222 for 120s" },
    users: { user1: {} },
    hooks: { onGrant: ["/usr/local/bin/lamp", "on"], onClose: ["/usr/local/bin/lamp", "off"] },
    notes: [],
  },
  {
    name: "the manual's command cycle with substitutions",
    access: `SOURCE ANY
CMD_CYCLE_OPEN /sbin/iptables -A INPUT -p $PROTO -s $IP --dport $PORT -j ACCEPT
CMD_CYCLE_CLOSE NONE
`,
    services: {},
    users: {},
    notes: [/CMD_CYCLE_OPEN: .*not \$PROTO/, /name the ports in \[services\.NAME\]/],
  },
  {
    name: "forwarding to a machine inside",
    access: `SOURCE ANY
OPEN_PORTS tcp/22
FORCE_NAT 192.0.2.20 22
FORCE_MASQUERADE Y
FORWARD_ALL Y
DISABLE_DNAT N
`,
    services: { ssh: "tcp/22 for 30s" },
    users: { user1: {} },
    notes: [/FORCE_NAT: a packet cannot say where to: a service with to leads its port/],
  },
  {
    name: "no OPEN_PORTS: whatever a packet asks for",
    access: `SOURCE ANY\nRESTRICT_PORTS tcp/25\nKEY ${SECRET}\n`,
    services: {},
    users: {},
    notes: [/RESTRICT_PORTS: nothing opens but/, /without OPEN_PORTS a packet could ask for any port/],
  },
  {
    name: "fwknopd.conf with another port, and most of what it can say",
    access: "SOURCE ANY\nOPEN_PORTS tcp/22\n%include /etc/fwknop/more.conf\n",
    fwknopd: `PCAP_INTF                   eth0;
PCAP_FILTER                 udp port 40001;
ENABLE_SPA_PACKET_AGING     Y;
MAX_SPA_PACKET_AGE          120;
ENABLE_DIGEST_PERSISTENCE   Y;
FLUSH_IPT_AT_EXIT           Y;
ENABLE_SPA_OVER_HTTP        N;
FIREWALL_EXE                /sbin/iptables;
`,
    services: { ssh: "tcp/22 for 30s" },
    users: { user1: {} },
    port: 40_001,
    notes: [
      /%include: one file is read at a time/,
      /MAX_SPA_PACKET_AGE: \[clock\]/,
      /FLUSH_IPT_AT_EXIT: the guard stays/,
    ],
  },
  {
    name: "fwknopd.conf with a UDP server, and a filter that is no single port",
    access: "SOURCE ANY\nOPEN_PORTS udp/51820\n",
    fwknopd: "PCAP_FILTER udp dst portrange 10000-65535;\nENABLE_UDP_SERVER Y;\nUDPSERV_PORT 62210;\n",
    services: { wireguard: "udp/51820 for 30s" },
    users: { user1: {} },
    port: 62_210,
    notes: [/PCAP_FILTER: packets go to one UDP port/, /ENABLE_UDP_SERVER: nothing listens/],
  },
];

describe("tockd import fwknop", () => {
  test.each(cases)("$name", ({ access, fwknopd, services, users, port, hooks = {}, notes }) => {
    const imported = right(importFwknop(access, fwknopd));
    const made = imported.services.map(({ name, ports, ttl }) => [
      name,
      `${ports.map(formatPortRange).join(" ")} for ${ttl ?? 30}s`,
    ]);
    expect(Object.fromEntries(made)).toEqual(services);
    expect(Object.fromEntries(imported.users.map((user) => [user.name, user]))).toMatchObject(users);
    expect(imported.users).toHaveLength(Object.keys(users).length);
    expect(imported.port).toBe(port);
    expect(imported).toMatchObject(hooks);
    const told = imported.notes.map(({ what, why }) => `${what}: ${why}`).join("\n");
    for (const pattern of notes) expect(told).toMatch(pattern);
    const toml = importedToml("access.conf", imported, { name: "home", addresses: ["192.0.2.1"] });
    expect(told + toml).not.toContain(SECRET);
    if (imported.services.length > 0) expect(parseSettings(toml, "tockd.toml")).toMatchObject({ ok: true });
  });

  const wrong: Readonly<Record<string, readonly [text: string, line: number, message: RegExp]>> = {
    "a network that is none": ["SOURCE 300.1.2.3\nOPEN_PORTS tcp/22\n", 1, /SOURCE/],
    "a port that is none": ["SOURCE ANY\nOPEN_PORTS tcp/ssh\n", 2, /OPEN_PORTS.*tcp\/ssh/],
    "a protocol that is none": ["SOURCE ANY\nOPEN_PORTS 22\n", 2, /OPEN_PORTS/],
    "a day that does not exist": [
      "SOURCE ANY\nOPEN_PORTS tcp/22\nACCESS_EXPIRE 02/30/2030\n",
      3,
      /ACCESS_EXPIRE/,
    ],
    "a time that is none": [
      "SOURCE ANY\nOPEN_PORTS tcp/22\nFW_ACCESS_TIMEOUT soon\n",
      3,
      /FW_ACCESS_TIMEOUT/,
    ],
    "an unknown variable": ["SOURCE ANY\nOPEN_PORT tcp/22\n", 2, /OPEN_PORT is no variable/],
    "a variable before any stanza": ["OPEN_PORTS tcp/22\nSOURCE ANY\n", 1, /before the first SOURCE/],
    "a line without a value": ["SOURCE ANY\nOPEN_PORTS\n", 2, /expected a variable/],
    "another file": ["# nothing\n", 1, /no SOURCE/],
  };
  test.each(Object.entries(wrong))("%s is an error with its line", (_, [text, line, message]) => {
    const refused = importFwknop(text);
    expect(refused.ok).toBe(false);
    if (refused.ok) return;
    expect(refused.error[0]?.line).toBe(line);
    expect(refused.error[0]?.message).toMatch(message);
  });

  test("no message repeats a secret, however wrong the line is", () => {
    const refused = importFwknop(`SOURCE ANY\nKEY${SECRET}\nKEYS ${SECRET}\n`);
    expect(JSON.stringify(refused)).not.toContain(SECRET);
  });

  test("nothing is noted twice in both tables with different words", () => {
    for (const [name, why] of Object.entries(ACCESS_NOTES)) {
      if (FWKNOPD_NOTES[name] !== undefined) expect(FWKNOPD_NOTES[name]).toBe(why);
    }
  });
});
