import { describe, expect, test } from "vitest";
import type { Port } from "../../../shared/brand.ts";
import { adviceFor, type Behind } from "../../../server/doctor/advice.ts";
import { obstacles, readFirewalls } from "../../../server/doctor/journey.ts";
import type { Look } from "../../../server/doctor/look.ts";
import type { Packet } from "../../../server/doctor/walk.ts";

/** A connection from the internet to the first port of a service of ten. */
const RANGE = { protocol: "tcp" as const, first: 8000 as Port, last: 8009 as Port };
const PACKET: Packet = {
  family: 4,
  protocol: "tcp",
  state: "new",
  sourcePort: undefined,
  port: 8000,
  sentTo: 8000,
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
/** The same as `to` has it led, and as `forward` has it guarded. */
const LED: Packet = { ...PACKET, lead: { address: "10.1.2.3", port: 22 } };
const ROUTED: Packet = { ...PACKET, local: false, to: "10.1.2.0", destination: "10.1.2.0/24" };

const filter = (...rules: string[]): string =>
  ["*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]", ...rules, "COMMIT"].join(
    "\n",
  );
const nft = (table: string, chain: string, hook: string, ...rules: object[][]): string => {
  const [family, name] = table.split(/ (.*)/);
  const base = { family, table: name, name: chain, type: "filter", hook, policy: "drop" };
  const listed = rules.map((expr, index) => ({
    rule: { family, table: name, chain, handle: index + 4, expr },
  }));
  return JSON.stringify({ nftables: [{ chain: base }, ...listed] });
};

/** What to run, or else the hint, with iptables on nf_tables unless told otherwise. */
function advice(printed: Readonly<Record<string, string>>, packet = PACKET, guard: Behind = "on"): string[] {
  const look: Look = (...argv) =>
    ({ "iptables -V": "iptables v1.8.9 (nf_tables)", ...printed })[argv.join(" ")] ?? "";
  return obstacles(readFirewalls(look), packet, {}).map((obstacle) => {
    const { run, hint } = adviceFor(RANGE, obstacle, look, guard);
    return run ?? hint;
  });
}

describe("what doctor says to run", () => {
  test.each<[string, Readonly<Record<string, string>>, string]>([
    ["iptables", { "iptables-nft-save": filter() }, "iptables -A INPUT -p tcp --dport 8000:8009 -j ACCEPT"],
    [
      "iptables-legacy beside iptables on nf_tables",
      { "iptables-legacy-save": filter() },
      "iptables-legacy -A INPUT -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "iptables-legacy where it is the one",
      { "iptables-legacy-save": filter(), "iptables -V": "iptables v1.8.9 (legacy)" },
      "iptables -A INPUT -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "ufw",
      { "iptables-nft-save": filter(":ufw-user-input - [0:0]", "-A INPUT -j ufw-user-input") },
      "ufw allow 8000:8009/tcp",
    ],
    [
      "a rule of somebody else's before ufw",
      {
        "iptables-nft-save": filter(
          ":ufw-user-input - [0:0]",
          "-A INPUT -p tcp -j DROP",
          "-A INPUT -j ufw-user-input",
        ),
      },
      "iptables -I INPUT -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "firewalld",
      {
        "iptables-nft-save": filter(
          ":INPUT_ZONES - [0:0]",
          ":IN_work - [0:0]",
          "-A INPUT -j INPUT_ZONES",
          "-A INPUT -j REJECT",
          "-A INPUT_ZONES -i eth0 -g IN_work",
        ),
      },
      "firewall-cmd --permanent --zone=work --add-port=8000-8009/tcp && firewall-cmd --reload",
    ],
    [
      "firewalld with a zone for some addresses too",
      {
        "iptables-nft-save": filter(
          ":INPUT_ZONES - [0:0]",
          ":IN_internal - [0:0]",
          ":IN_public - [0:0]",
          ":IN_public_post - [0:0]",
          "-A INPUT -j INPUT_ZONES",
          "-A INPUT_ZONES -s 10.0.0.0/8 -g IN_internal",
          "-A INPUT_ZONES -i eth0 -g IN_public",
          "-A IN_internal -j ACCEPT",
          "-A IN_public -j IN_public_post",
          "-A IN_public -j REJECT",
        ),
      },
      "to let devices in from elsewhere too: firewall-cmd --permanent --zone=public --add-port=8000-8009/tcp && firewall-cmd --reload",
    ],
    [
      "a rule behind those that ban",
      {
        "iptables-nft-save": filter(
          "-A INPUT -m set --match-set banned src -j DROP",
          "-A INPUT -p tcp -j DROP",
        ),
      },
      "iptables -I INPUT 2 -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "what leaves the chain to the policy",
      { "iptables-nft-save": filter("-A INPUT -p udp -j ACCEPT", "-A INPUT -p tcp -j RETURN") },
      "iptables -I INPUT 2 -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "what leaves the chain for another one",
      { "iptables-nft-save": filter(":own - [0:0]", "-A INPUT -p udp -j ACCEPT", "-A INPUT -g own") },
      "iptables -I INPUT 2 -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "a rule of nftables behind those that ban",
      {
        "nft -j list ruleset": nft(
          "inet fw",
          "in",
          "input",
          [
            { match: { op: "==", left: { payload: { protocol: "ip", field: "saddr" } }, right: "@banned" } },
            { drop: null },
          ],
          [{ drop: null }],
        ),
      },
      "nft insert rule inet fw in handle 5 tcp dport 8000-8009 accept",
    ],
    [
      "what is redirected to another port",
      {
        "iptables-nft-save": `*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 8000 -j REDIRECT --to-ports 22\nCOMMIT\n${filter()}`,
      },
      "iptables -A INPUT -p tcp -m conntrack --ctorigdstport 8000:8009 -j ACCEPT",
    ],
    [
      "what another port, which may not be guarded, is redirected to",
      {
        "iptables-nft-save": `*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8000\nCOMMIT\n${filter(
          ":ufw-user-input - [0:0]",
          "-A INPUT -j ufw-user-input",
        )}`,
      },
      "iptables -A INPUT -p tcp -m conntrack --ctorigdstport 8000:8009 -j ACCEPT",
    ],
    [
      "the same port of another host does not matter",
      {
        "iptables-nft-save": `*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.1.2.3:8000\nCOMMIT\n${filter()}`,
      },
      "iptables -A INPUT -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "right at the interface",
      { "nft -j list ruleset": nft("netdev fw", "in", "ingress") },
      "nft add rule netdev fw in ip daddr 192.0.2.1 tcp dport 8000-8009 accept",
    ],
    [
      "the table raw",
      { "iptables-nft-save": "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j DROP\nCOMMIT" },
      "iptables -t raw -I PREROUTING -d 192.0.2.1 -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "nftables",
      { "nft -j list ruleset": nft("inet fw", "in", "input") },
      "nft add rule inet fw in tcp dport 8000-8009 accept",
    ],
    [
      "what lets some in, perhaps on purpose",
      { "iptables-nft-save": filter("-A INPUT -s 198.51.100.0/24 -j ACCEPT") },
      "to let devices in from elsewhere too: iptables -A INPUT -p tcp --dport 8000:8009 -j ACCEPT",
    ],
  ])("%s", (_, printed, run) => {
    expect(advice(printed)).toEqual([run]);
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ["iptables", { "iptables-nft-save": "*mangle\n:PREROUTING DROP [0:0]\nCOMMIT" }],
    ["nftables", { "nft -j list ruleset": nft("ip mangle", "PREROUTING", "prerouting") }],
  ])("never a rule in front of the guard in its own chain: %s", (_, printed) => {
    expect(advice(printed)).toEqual(["leave tcp/8000-8009 out of that rule"]);
  });

  test.each<[string, Packet, Readonly<Record<string, string>>, string]>([
    [
      "where Tock leads to, by iptables",
      LED,
      { "iptables-nft-save": filter() },
      "iptables -A FORWARD -d 10.1.2.3 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8000:8009 -j ACCEPT",
    ],
    [
      "where Tock leads to, by nftables",
      LED,
      { "nft -j list ruleset": nft("inet fw", "fwd", "forward") },
      "nft add rule inet fw fwd ct status dnat ip daddr 10.1.2.3 meta l4proto tcp ct original proto-dst 8000-8009 accept",
    ],
    [
      "a guarded network, by iptables",
      ROUTED,
      { "iptables-nft-save": filter() },
      "iptables -A FORWARD -d 10.1.2.0/24 -p tcp -m conntrack --ctorigdstport 8000:8009 -j ACCEPT",
    ],
    [
      "a guarded network, by nftables",
      ROUTED,
      { "nft -j list ruleset": nft("inet fw", "fwd", "forward") },
      "nft add rule inet fw fwd ip daddr 10.1.2.0/24 meta l4proto tcp ct original proto-dst 8000-8009 accept",
    ],
    [
      "any network",
      { ...ROUTED, to: undefined, destination: undefined },
      { "iptables-nft-save": filter() },
      "iptables -A FORWARD -p tcp -m conntrack --ctorigdstport 8000:8009 -j ACCEPT",
    ],
  ])("opens no more than the guard guards: %s", (_, packet, printed, run) => {
    expect(advice(printed, packet)).toEqual([run]);
  });

  test("nothing to run while the guard is off", () => {
    expect(advice({ "iptables-nft-save": filter() }, PACKET, "off")).toEqual([
      "after tockd guard on, for until then it lets everybody in: iptables -A INPUT -p tcp --dport 8000:8009 -j ACCEPT",
    ]);
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ["a table", { "nft -j list ruleset": nft("inet x;touch /tmp/pwned;#", "in", "input") }],
    ["a chain", { "nft -j list ruleset": nft("inet fw", "$(reboot)", "input") }],
    [
      "a chain of iptables",
      { "iptables-nft-save": filter(":a;b - [0:0]", "-A INPUT -j a;b", "-A a;b -p tcp -j DROP") },
    ],
  ])("nothing to run with a name in it that a shell would take for more: %s", (_, printed) => {
    expect(advice(printed)).toEqual([
      "have it accepted in front of that, by hand: its name is none for a shell",
    ]);
  });
});
