import { describe, expect, test } from "vitest";
import { inIptables, inNftables } from "../../../server/doctor/rules.ts";

const SSH = { protocol: "tcp", port: 22 } as const;

const saved = (policy: string, ...rules: string[]): string =>
  [
    "*mangle",
    ":INPUT DROP [0:0]",
    "COMMIT",
    "*filter",
    `:INPUT ${policy} [0:0]`,
    ":user - [0:0]",
    ...rules,
    "COMMIT",
  ].join("\n");

describe("what iptables does with a port", () => {
  test.each<[string, string, string | undefined]>([
    ["nothing stands in the way", saved("ACCEPT"), undefined],
    ["the policy drops it", saved("DROP"), "-P INPUT DROP"],
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
      "-P INPUT DROP",
    ],
    [
      "another protocol is accepted",
      saved("DROP", "-A INPUT -p udp -m udp --dport 22 -j ACCEPT"),
      "-P INPUT DROP",
    ],
    [
      "one network alone is accepted",
      saved("DROP", "-A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT"),
      "-P INPUT DROP",
    ],
    [
      "loopback and established alone are accepted",
      saved("DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m state --state ESTABLISHED -j ACCEPT"),
      "-P INPUT DROP",
    ],
    [
      "a rule rejects it",
      saved("ACCEPT", "-A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset"),
      "-A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset",
    ],
    ["one network alone is dropped", saved("ACCEPT", "-A INPUT -s 192.0.2.0/24 -j DROP"), undefined],
    [
      "a chain accepts it",
      saved(
        "DROP",
        '-A INPUT -m comment --comment "from -j DROP" -j user',
        "-A user -p tcp -m tcp --dport 22 -j ACCEPT",
      ),
      undefined,
    ],
    ["a chain drops it", saved("ACCEPT", "-A INPUT -j user", "-A user -j DROP"), "-A user -j DROP"],
    [
      "a chain returns",
      saved("DROP", "-A INPUT -j user", "-A INPUT -j ACCEPT", "-A user -j RETURN", "-A user -j DROP"),
      undefined,
    ],
    ["chains in a circle", saved("ACCEPT", "-A INPUT -j user", "-A user -j user"), undefined],
  ])("%s", (_, text, rule) => {
    expect(inIptables(text, SSH)?.rule).toBe(rule);
  });
});

const match = (left: object, right: unknown, op = "==") => ({ match: { op, left, right } });
const dport = (right: unknown) => match({ payload: { protocol: "tcp", field: "dport" } }, right);
const ruleset = (policy: string, ...rules: object[][]): string =>
  JSON.stringify({
    nftables: [
      { chain: { family: "inet", table: "filter", name: "input", type: "filter", hook: "input", policy } },
      { chain: { family: "inet", table: "tock", name: "x", type: "filter", hook: "input", policy: "drop" } },
      ...rules.map((expr) => ({ rule: { family: "inet", table: "filter", chain: "input", expr } })),
      { rule: { family: "inet", table: "filter", chain: "own", expr: [dport(22), { accept: null }] } },
    ],
  });

describe("what nftables does with a port", () => {
  test.each<[string, string, boolean]>([
    ["the policy lets it through", ruleset("accept"), false],
    ["the policy drops it", ruleset("drop"), true],
    ["accepted by port", ruleset("drop", [dport(22), { accept: null }]), false],
    [
      "accepted by a set with ranges",
      ruleset("drop", [dport({ set: [80, { range: [20, 30] }] }), { accept: null }]),
      false,
    ],
    ["another port", ruleset("drop", [dport(23), { accept: null }]), true],
    [
      "established alone",
      ruleset("drop", [match({ ct: { key: "state" } }, ["established", "related"]), { accept: null }]),
      true,
    ],
    [
      "one interface alone",
      ruleset("drop", [match({ meta: { key: "iifname" } }, "lo"), { accept: null }]),
      true,
    ],
    ["a jump that accepts", ruleset("drop", [{ jump: { target: "own" } }]), false],
    ["dropped by port", ruleset("accept", [dport(22), { counter: null }, { drop: null }]), true],
  ])("%s", (_, text, dropped) => {
    expect(inNftables(text, SSH) !== undefined).toBe(dropped);
  });
});
