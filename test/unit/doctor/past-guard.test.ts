import type { NetworkInterfaceInfo } from "node:os";
import { expect, test } from "vitest";
import type { Finding } from "../../../server/doctor/finding.ts";
import { readFirewalls } from "../../../server/doctor/journey.ts";
import { lookForSideDoors } from "../../../server/doctor/past-guard.ts";
import type { Rule } from "../../../server/doctor/walk.ts";
import { parsePortRange } from "../../../shared/port-range.ts";
import { unwrap } from "../../../shared/result.ts";
import { makeService } from "../../support/core.ts";

const OWN = {
  eth0: [{ address: "192.0.2.1", family: "IPv4", cidr: "192.0.2.1/24" } as NetworkInterfaceInfo],
};
const WAYS = [{ family: 4, from: "eth0", to: "192.0.2.1" }] as const;
const SERVICES = [makeService("ssh", { ports: [unwrap(parsePortRange("tcp/22"))] })];
const SILENT = [unwrap(parsePortRange("tcp/20000-29999"))];

const find = (command: string, printed: string): Pick<Finding, "state" | "message">[] => {
  const firewalls = readFirewalls((...argv) => (argv.join(" ") === command ? printed : ""));
  return lookForSideDoors(firewalls, SERVICES, SILENT, WAYS, OWN);
};
const nat = (...rules: string[]): string =>
  ["*nat", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":mine - [0:0]", ...rules, "COMMIT"].join(
    "\n",
  );
const PRE = "-A PREROUTING -p tcp -m tcp";

test.each<[string, string[], [Finding["state"], RegExp][]]>([
  [
    "a redirect",
    [`${PRE} --dport 2222 -j REDIRECT --to-ports 22`],
    [["fail", /^tcp\/2222 leads everybody past the guard to tcp\/22 of ssh: -A/]],
  ],
  [
    "a translation to this machine's address",
    [`${PRE} -d 192.0.2.1/32 --dport 2222 -j DNAT --to-destination 192.0.2.1:22`],
    [["fail", /^tcp\/2222 leads/]],
  ],
  [
    "to one port of several",
    [`${PRE} --dport 2222 -j REDIRECT --to-ports 20-25`],
    [["warn", /^tcp\/2222 may lead some past the guard to tcp\/22 of ssh: -A/]],
  ],
  [
    "a translation to one port of several",
    [`${PRE} --dport 2222 -j DNAT --to-destination 192.0.2.1:20-25`],
    [["warn", /^tcp\/2222 may lead/]],
  ],
  ["to one of several that are not guarded", [`${PRE} --dport 2222 -j REDIRECT --to-ports 23-25`], []],
  [
    "whatever port it is",
    ["-A PREROUTING -p tcp -j REDIRECT --to-ports 22"],
    [
      ["fail", /^tcp\/1-21 leads/],
      ["fail", /^tcp\/23-19999 leads/],
      ["fail", /^tcp\/30000-65535 leads/],
    ],
  ],
  [
    "whatever port but some it is",
    [
      `${PRE} -m multiport --dports 1:1000,3000 -j ACCEPT`,
      `${PRE} ! --dport 30000:65535 -j REDIRECT --to-ports 22`,
    ],
    [
      ["fail", /^tcp\/1001-2999 leads/],
      ["fail", /^tcp\/3001-19999 leads/],
    ],
  ],
  [
    "a range, but for what is silent",
    [`${PRE} --dport 19998:20005 -j REDIRECT --to-ports 22`],
    [["fail", /^tcp\/19998-19999 leads/]],
  ],
  [
    "in a chain of its own",
    ["-A PREROUTING -i eth0 -j mine", "-A mine -p tcp -m tcp --dport 2222 -j REDIRECT --to-ports 22"],
    [["fail", /^tcp\/2222 leads/]],
  ],
  [
    "for some addresses",
    [`-A PREROUTING -s 198.51.100.0/24 -p tcp -m tcp --dport 2222 -j REDIRECT --to-ports 22`],
    [["warn", /^tcp\/2222 may lead some/]],
  ],
  [
    "behind one that lets some others pass",
    [`-A PREROUTING -s 198.51.100.0/24 -j ACCEPT`, `${PRE} --dport 2222 -j REDIRECT --to-ports 22`],
    [["fail", /^tcp\/2222 leads/]],
  ],
  [
    "behind one that ends the way of all",
    [`${PRE} --dport 2222 -j ACCEPT`, `${PRE} --dport 2222 -j REDIRECT --to-ports 22`],
    [],
  ],
  ["in a chain that nothing goes to", ["-A mine -p tcp -m tcp --dport 2222 -j REDIRECT --to-ports 22"], []],
  [
    "by another interface",
    ["-A PREROUTING -i eth1 -p tcp -m tcp --dport 2222 -j REDIRECT --to-ports 22"],
    [],
  ],
  [
    "of what this machine sends itself",
    ["-A OUTPUT -p tcp -m tcp --dport 2222 -j REDIRECT --to-ports 22"],
    [],
  ],
  ["from a guarded port", [`${PRE} --dport 22 -j REDIRECT --to-ports 22`], []],
  ["to a port that is not guarded", [`${PRE} --dport 2222 -j REDIRECT --to-ports 80`], []],
  [
    "to a container's port of that number",
    [`${PRE} --dport 2222 -j DNAT --to-destination 172.17.0.2:22`],
    [],
  ],
  ["of another protocol", ["-A PREROUTING -p udp -m udp --dport 2222 -j REDIRECT --to-ports 22"], []],
])("iptables, %s", (_, rules, expected) => {
  const found = find("iptables-nft-save", nat(...rules));
  expect(found.map(({ state }) => state)).toEqual(expected.map(([state]) => state));
  for (const [index, [, words]] of expected.entries()) expect(found[index]?.message).toMatch(words);
});

test("nft, a redirect and a translation, at the hook alone", () => {
  const chain = (name: string, hook: string): object => ({
    chain: { family: "inet", table: "own", name, handle: 1, type: "nat", hook, prio: -100, policy: "accept" },
  });
  const port = (number: number): object => ({
    match: { op: "==", left: { payload: { protocol: "tcp", field: "dport" } }, right: number },
  });
  const rule = (name: string, handle: number, ...expr: object[]): object => ({
    rule: { family: "inet", table: "own", chain: name, handle, expr },
  });
  const listing = {
    nftables: [
      { table: { family: "inet", name: "own", handle: 1 } },
      { set: { family: "inet", table: "own", name: "doors", elem: [2230, { range: [2240, 2249] }] } },
      chain("in", "prerouting"),
      chain("out", "output"),
      rule("in", 4, port(2222), { redirect: { port: 22 } }),
      rule("in", 5, port(2223), { dnat: { family: "ip", addr: "192.0.2.1", port: 22 } }),
      rule("in", 6, port(2224), { dnat: { family: "ip", addr: "192.0.2.9", port: 22 } }),
      rule("in", 8, port(2226), { redirect: { port: { range: [20, 25] } } }),
      rule(
        "in",
        9,
        { match: { op: "==", left: { payload: { protocol: "tcp", field: "dport" } }, right: "@doors" } },
        { redirect: { port: 22 } },
      ),
      rule("out", 7, port(2225), { redirect: { port: 22 } }),
    ],
  };
  const found = find("nft -j list ruleset", JSON.stringify(listing));
  expect(found.map(({ state, message }) => [state, message.split(" ")[0]])).toEqual([
    ["fail", "tcp/2222"],
    ["fail", "tcp/2223"],
    ["warn", "tcp/2226"],
    ["fail", "tcp/2230"],
    ["fail", "tcp/2240-2249"],
  ]);
});

test("of many rules one port between two of their borders is looked at", () => {
  const rules = Array.from(
    { length: 50 },
    (_, index) => `${PRE} --dport ${1_000 + 3 * index} -j DNAT --to-destination 198.51.100.1:80`,
  );
  rules.push("-A PREROUTING -p tcp -j REDIRECT --to-ports 22");
  const firewalls = readFirewalls((...argv) => (argv.join(" ") === "iptables-nft-save" ? nat(...rules) : ""));
  const seen = new Set<number>();
  const counted = (rule: Rule): Rule => ({
    ...rule,
    judge: (packet) => {
      if (packet.port !== undefined) seen.add(packet.port);
      return rule.judge(packet);
    },
  });
  const iptables = firewalls.iptables.map(({ tables, ...each }) => ({
    ...each,
    tables: new Map(
      [...tables].map(([name, table]) => {
        const chains = new Map([...table.chains].map(([chain, held]) => [chain, held.map(counted)]));
        return [name, { ...table, chains }];
      }),
    ),
  }));
  const found = lookForSideDoors({ ...firewalls, iptables }, SERVICES, SILENT, WAYS, OWN);
  expect(found.at(-1)?.message).toMatch(/^tcp\/30000-65535 leads everybody/);
  // Two for each rule, and some for what is guarded.
  expect(seen.size).toBeLessThan(2 * rules.length + 10);
});
