import { describe, expect, test } from "vitest";
import { obstacles, readFirewalls } from "../../../server/doctor/journey.ts";
import { untracked } from "../../../server/doctor/untracked.ts";
import type { Packet } from "../../../server/doctor/walk.ts";

/** A connection from the internet to this machine's sshd. */
const SSH: Packet = {
  family: 4,
  protocol: "tcp",
  state: "new",
  sourcePort: undefined,
  port: 22,
  sentTo: 22,
  to: "192.0.2.1",
  local: true,
  destination: "192.0.2.1",
  isTarget: false,
  translated: false,
  lead: undefined,
  led: false,
  from: "eth0",
  out: undefined,
};
const DOCKER = {
  docker0: [
    {
      address: "172.17.0.1",
      netmask: "255.255.0.0",
      family: "IPv4" as const,
      mac: "",
      internal: false,
      cidr: "172.17.0.1/16",
    },
  ],
};

const saved = (policy: string, ...rules: string[]): string =>
  [
    "*mangle",
    ":INPUT ACCEPT [0:0]",
    "COMMIT",
    "*filter",
    `:INPUT ${policy} [0:0]`,
    ":FORWARD DROP [0:0]",
    ":user - [0:0]",
    ...rules,
    "COMMIT",
  ].join("\n");

/** How sure it is that the packet is dropped, and by what; undefined = it gets through. */
function verdictOf(program: string, text: string, packet = SSH): string | undefined {
  const firewalls = readFirewalls((...argv) => (argv.join(" ") === program ? text : ""));
  const [first] = obstacles(firewalls, packet, DOCKER);
  return (
    first && `${first.certainty}: ${first.rule}${first.except === undefined ? "" : ` but ${first.except}`}`
  );
}

describe("what iptables does with a port", () => {
  test.each<[string, string, string | undefined]>([
    ["nothing stands in the way", saved("ACCEPT"), undefined],
    ["the policy drops it", saved("DROP"), "all: -P INPUT DROP"],
    ["accepted by port", saved("DROP", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"), undefined],
    [
      "accepted by a range, when new",
      saved(
        "DROP",
        "-A INPUT -p tcp -m conntrack --ctstate NEW,RELATED -m multiport --dports 80,20:25 -j ACCEPT",
      ),
      undefined,
    ],
    [
      "another port is accepted",
      saved("DROP", "-A INPUT -p tcp -m tcp --dport 2222 -j ACCEPT"),
      "all: -P INPUT DROP",
    ],
    [
      "another protocol is accepted",
      saved("DROP", "-A INPUT -p udp -m udp --dport 22 -j ACCEPT"),
      "all: -P INPUT DROP",
    ],
    [
      "one network alone is accepted",
      saved("DROP", "-A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT"),
      "some: -P INPUT DROP but -A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT",
    ],
    ["one network alone is dropped", saved("ACCEPT", "-A INPUT -s 192.0.2.0/24 -j DROP"), undefined],
    [
      "all but one network are dropped",
      saved("ACCEPT", "-A INPUT ! -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j DROP"),
      "some: -A INPUT ! -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j DROP",
    ],
    [
      "all but one port are dropped",
      saved(
        "ACCEPT",
        "-A INPUT -p tcp -m tcp ! --dport 22 -j DROP",
        "-A INPUT -p tcp -m multiport ! --dports 22,80 -j DROP",
      ),
      undefined,
    ],
    [
      "loopback and established alone are accepted",
      saved("DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m state --state ESTABLISHED -j ACCEPT"),
      "all: -P INPUT DROP",
    ],
    ["accepted on its interface", saved("DROP", "-A INPUT -i eth+ -j ACCEPT"), undefined],
    [
      "another interface alone is accepted",
      saved("DROP", "-A INPUT ! -i eth0 -j ACCEPT"),
      "all: -P INPUT DROP",
    ],
    [
      "ufw's way to leave out what is not for this machine",
      saved(
        "DROP",
        "-A INPUT -j user",
        "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
        "-A user -m addrtype --dst-type LOCAL -j RETURN",
        "-A user -j DROP",
      ),
      undefined,
    ],
    [
      "a rule rejects it",
      saved("ACCEPT", "-A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset"),
      "all: -A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset",
    ],
    [
      "a chain accepts it",
      saved(
        "DROP",
        '-A INPUT -m comment --comment "from -j DROP" -j user',
        "-A user -p tcp -m tcp --dport 22 -j ACCEPT",
      ),
      undefined,
    ],
    ["a chain drops it", saved("ACCEPT", "-A INPUT -j user", "-A user -j DROP"), "all: -A user -j DROP"],
    [
      "a chain returns",
      saved("DROP", "-A INPUT -j user", "-A INPUT -j ACCEPT", "-A user -j RETURN", "-A user -j DROP"),
      undefined,
    ],
    [
      "a goto does not come back",
      saved("DROP", "-A INPUT -g user", "-A INPUT -j ACCEPT"),
      "all: -P INPUT DROP",
    ],
    [
      "a comment that looks like a target",
      saved("ACCEPT", "-A INPUT -m comment --comment -j -j DROP"),
      "all: -A INPUT -m comment --comment -j -j DROP",
    ],
    [
      "what opens a connection from here",
      `${saved("ACCEPT")}\n*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP\n-A OUTPUT -p tcp --syn -j DROP\nCOMMIT`,
      undefined,
    ],
    [
      "the first answer",
      `*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --tcp-flags SYN SYN -j DROP\nCOMMIT`,
      "all: -A OUTPUT -p tcp -m tcp --tcp-flags SYN SYN -j DROP",
    ],
    [
      "flags that no connection begins with",
      saved(
        "ACCEPT",
        "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP",
        "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
      ),
      undefined,
    ],
    ["chains in a circle", saved("ACCEPT", "-A INPUT -j user", "-A user -j user"), undefined],
    [
      "lists of those that were banned",
      saved(
        "ACCEPT",
        "-A INPUT -p tcp -m multiport --dports 22 -j user",
        "-A INPUT -p tcp -m recent --update --seconds 60 --hitcount 4 --name S --mask 255.255.255.255 --rsource -j DROP",
        "-A INPUT -p tcp -m set --match-set bad src -j DROP",
        "-A user -s 198.51.100.7/32 -j REJECT --reject-with icmp-port-unreachable",
        "-A user -j RETURN",
      ),
      undefined,
    ],
    [
      "a program that decides",
      saved("ACCEPT", "-A INPUT -j NFQUEUE --queue-num 0"),
      "unknown: -A INPUT -j NFQUEUE --queue-num 0",
    ],
    [
      "a match that nobody here knows",
      saved("DROP", '-A INPUT -p tcp -m u32 --u32 "0x0=0x1" -j ACCEPT'),
      'unknown: -A INPUT -p tcp -m u32 --u32 "0x0=0x1" -j ACCEPT',
    ],
    [
      "the table mangle",
      saved("ACCEPT").replace("*mangle\n:INPUT ACCEPT", "*mangle\n:INPUT DROP"),
      "all: -P INPUT DROP",
    ],
  ])("%s", (_, text, verdict) => {
    expect(verdictOf("iptables-nft-save", text)).toBe(verdict);
    expect(verdictOf("iptables-legacy-save", text)).toBe(verdict);
    expect(verdictOf("ip6tables-nft-save", text)).toBeUndefined();
  });

  test.each<[string, string, string | undefined]>([
    ["Docker's rules let a published port through", "", undefined],
    [
      "DOCKER-USER drops what comes from outside",
      "-A DOCKER-USER -i eth0 -j DROP",
      "all: -A DOCKER-USER -i eth0 -j DROP",
    ],
    [
      "but for its port",
      "-A DOCKER-USER -p tcp -m conntrack --ctorigdstport 22 -j ACCEPT\n-A DOCKER-USER -i eth0 -j DROP",
      undefined,
    ],
  ])("%s", (_, rules, verdict) => {
    const text = `*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
${rules}
-A DOCKER-USER -j RETURN
COMMIT
`;
    expect(verdictOf("iptables-nft-save", text)).toBe(verdict);
  });

  test("what Tock leads to another host is accepted by Tock there, and nothing else is", () => {
    const text =
      "*filter\n:FORWARD DROP [0:0]\n:TOCK-TO - [0:0]\n-A FORWARD -m comment --comment tock -j TOCK-TO\nCOMMIT";
    const forwarded = { ...SSH, local: false, to: "10.1.2.3", translated: true };
    expect(verdictOf("iptables-nft-save", text, { ...forwarded, led: true })).toBeUndefined();
    expect(verdictOf("iptables-nft-save", text, forwarded)).toBe("all: -P FORWARD DROP");
  });
});

const match = (left: object, right: unknown, op = "==") => ({ match: { op, left, right } });
const dport = (right: unknown, op = "==") =>
  match({ payload: { protocol: "tcp", field: "dport" } }, right, op);
const saddr = (op: string) => match({ payload: { protocol: "ip", field: "saddr" } }, "198.51.100.7", op);
const vmap = (...pairs: [unknown, object][]) => ({
  vmap: { key: { payload: { protocol: "tcp", field: "dport" } }, data: { set: pairs } },
});
const flags = (mask: string[], right: unknown, op = "==") =>
  match({ "&": [{ payload: { protocol: "tcp", field: "flags" } }, mask] }, right, op);
const over = { rate: 10, per: "minute", inv: true };
const each = (stmt: object) => ({
  set: { op: "add", elem: { payload: { protocol: "ip", field: "saddr" } }, set: "@dl", stmt: [stmt] },
});
const ruleset = (policy: string, ...rules: object[][]): string =>
  JSON.stringify({
    nftables: [
      { limit: { family: "inet", table: "filter", name: "l", ...over } },
      { quota: { family: "inet", table: "filter", name: "q", bytes: 1000, inv: false } },
      {
        set: {
          family: "inet",
          table: "filter",
          name: "doors",
          elem: [{ elem: { val: 22, comment: "ssh" } }],
        },
      },
      { chain: { family: "inet", table: "filter", name: "input", type: "filter", hook: "input", policy } },
      { chain: { family: "inet", table: "filter", name: "own" } },
      { chain: { family: "inet", table: "tock", name: "x", type: "filter", hook: "input", policy: "drop" } },
      ...rules.map((expr) => ({ rule: { family: "inet", table: "filter", chain: "input", expr } })),
      { rule: { family: "inet", table: "filter", chain: "own", expr: [dport(22), { accept: null }] } },
    ],
  });

describe("what nftables does with a port", () => {
  test.each<[string, string, "all" | "some" | "unknown" | undefined]>([
    ["the policy lets it through", ruleset("accept"), undefined],
    ["the policy drops it", ruleset("drop"), "all"],
    ["accepted by port", ruleset("drop", [dport(22), { accept: null }]), undefined],
    [
      "accepted by a set with ranges",
      ruleset("drop", [dport({ set: [80, { range: [20, 30] }] }), { accept: null }]),
      undefined,
    ],
    ["accepted by a set with a name", ruleset("drop", [dport("@doors"), { accept: null }]), undefined],
    ["a set that is not there", ruleset("drop", [dport("@gone"), { accept: null }]), "unknown"],
    ["another port", ruleset("drop", [dport(23), { accept: null }]), "all"],
    ["all ports but another one", ruleset("accept", [dport(23, "!="), { drop: null }]), "all"],
    [
      "accepted by a verdict map",
      ruleset("drop", [vmap([23, { drop: null }], [22, { accept: null }])]),
      undefined,
    ],
    ["dropped by a verdict map", ruleset("accept", [vmap([22, { drop: null }])]), "all"],
    ["a verdict map that jumps", ruleset("drop", [vmap([22, { jump: { target: "own" } }])]), undefined],
    [
      "established alone",
      ruleset("drop", [match({ ct: { key: "state" } }, ["established", "related"], "in"), { accept: null }]),
      "all",
    ],
    ["loopback alone", ruleset("drop", [match({ meta: { key: "iifname" } }, "lo"), { accept: null }]), "all"],
    [
      "its interface",
      ruleset("drop", [match({ meta: { key: "iifname" } }, "eth*"), { accept: null }]),
      undefined,
    ],
    ["one source alone", ruleset("drop", [saddr("=="), { accept: null }]), "some"],
    ["all sources but one", ruleset("accept", [saddr("!="), { drop: null }]), "some"],
    ["a source that is banned", ruleset("accept", [saddr("=="), { drop: null }]), undefined],
    [
      "within a limit",
      ruleset("drop", [{ limit: { rate: 1, per: "second" } }, dport(22), { accept: null }]),
      undefined,
    ],
    [
      "over a limit",
      ruleset("accept", [{ limit: { rate: 1, per: "second", inv: true } }, dport(22), { drop: null }]),
      undefined,
    ],
    ["over a limit for each source", ruleset("accept", [each({ limit: over }), { drop: null }]), undefined],
    [
      "within a limit for each source",
      ruleset("drop", [each({ limit: { ...over, inv: false } }), { accept: null }]),
      undefined,
    ],
    [
      "too many connections of one source",
      ruleset("accept", [
        { meter: { key: {}, stmt: { "ct count": { val: 3, inv: true } }, name: "m" } },
        { reject: {} },
      ]),
      undefined,
    ],
    ["over a limit with a name", ruleset("accept", [{ limit: "l" }, { drop: null }]), undefined],
    ["within a quota with a name", ruleset("drop", [{ quota: "q" }, { accept: null }]), undefined],
    ["over a quota", ruleset("accept", [{ quota: { val: 5, inv: true } }, { drop: null }]), undefined],
    ["a limit that is not there", ruleset("accept", [{ limit: "gone" }, { drop: null }]), "unknown"],
    [
      "what opens no connection",
      ruleset("accept", [flags(["fin", "syn", "rst", "ack"], "syn", "!="), { drop: null }]),
      undefined,
    ],
    ["what opens one", ruleset("accept", [flags(["syn", "ack"], "syn"), { drop: null }]), "all"],
    [
      "what opens one from here",
      ruleset("accept", [flags(["syn", "ack"], "syn"), { drop: null }]).replaceAll('"input"', '"output"'),
      undefined,
    ],
    [
      "the first answer",
      ruleset("accept", [flags(["syn", "ack"], ["syn", "ack"]), { drop: null }]).replaceAll(
        '"input"',
        '"output"',
      ),
      "all",
    ],
    [
      "a table that sleeps",
      ruleset("drop").replace(
        "[",
        '[{ "table": { "family": "inet", "name": "filter", "flags": "dormant" } },',
      ),
      undefined,
    ],
    [
      "a mark that another rule may set",
      ruleset("drop", [match({ meta: { key: "mark" } }, 1), { accept: null }]),
      "unknown",
    ],
    ["a statement that is not known", ruleset("accept", [dport(22), { queue: { num: 0 } }]), "unknown"],
    ["a jump that accepts", ruleset("drop", [{ jump: { target: "own" } }]), undefined],
    [
      "a goto that does not come back",
      ruleset("drop", [dport(22), { goto: { target: "none" } }], [{ accept: null }]),
      "all",
    ],
    ["dropped by port", ruleset("accept", [dport(22), { counter: null }, { drop: null }]), "all"],
  ])("%s", (_, text, certainty) => {
    expect(verdictOf("nft -j list ruleset", text)?.replace(/:.*/s, "")).toBe(certainty);
  });
});

test.each([
  ["nft -j list ruleset", undefined],
  ["nft -j list ruleset", '{"nftables": [{"table": {"flags": '],
  ["ip6tables-legacy-save", undefined],
])("a listing that fails, or breaks off, is told from an empty one: %s", (command, printed) => {
  const firewalls = readFirewalls((...argv) => (argv.join(" ") === command ? printed : ""));
  expect(firewalls.unread).toEqual([command]);
  expect(readFirewalls(() => "").unread).toEqual([]);
});

describe("rules that switch connection tracking off", () => {
  const raw = (rule: string): string => ["*raw", ":PREROUTING ACCEPT [0:0]", rule, "COMMIT"].join("\n");
  test.each([
    ["-A PREROUTING -p tcp -m tcp --dport 22 -j NOTRACK", 1],
    [
      '-A PREROUTING -p tcp -m tcp --dport 22 -m comment --comment "no \\" -j NOTRACK here" -j MARK --set-xmark 0x1/0xffffffff',
      0,
    ],
    ["-A PREROUTING -p tcp -m tcp --dport 22 -j CT --notrack", 1],
    ["-A PREROUTING -i eth0 -j CT --notrack", 1],
    ["-A PREROUTING -i lo -j CT --notrack", 0],
    ["-A PREROUTING -p udp -m udp --dport 53 -j CT --notrack", 0],
  ])("%s", (rule, count) => {
    const firewalls = readFirewalls((...argv) => (argv[0] === "iptables-nft-save" ? raw(rule) : ""));
    expect(untracked(firewalls, SSH)).toHaveLength(count);
  });
});
