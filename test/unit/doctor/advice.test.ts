import { describe, expect, test } from "vitest";
import type { Port } from "../../../shared/brand.ts";
import { adviceFor } from "../../../server/doctor/advice.ts";
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
  translated: false,
  led: false,
  from: "eth0",
  out: undefined,
};

const filter = (...rules: string[]): string =>
  ["*filter", ":INPUT DROP [0:0]", ":OUTPUT ACCEPT [0:0]", ...rules, "COMMIT"].join("\n");
const nft = (table: string, chain: string, hook: string): string => {
  const [family, name] = table.split(" ");
  const base = { family, table: name, name: chain, type: "filter", hook, policy: "drop" };
  return JSON.stringify({ nftables: [{ chain: base }] });
};

/** What to run, or else the hint, with iptables on nf_tables unless told otherwise. */
function advice(printed: Readonly<Record<string, string>>): string[] {
  const look: Look = (...argv) =>
    ({ "iptables -V": "iptables v1.8.9 (nf_tables)", ...printed })[argv.join(" ")] ?? "";
  return obstacles(readFirewalls(look), PACKET, {}).map((obstacle) => {
    const { run, hint } = adviceFor(RANGE, obstacle, look);
    return run ?? hint;
  });
}

describe("what doctor says to run", () => {
  test.each<[string, Readonly<Record<string, string>>, string]>([
    ["iptables", { "iptables-nft-save": filter() }, "iptables -I INPUT -p tcp --dport 8000:8009 -j ACCEPT"],
    [
      "iptables-legacy beside iptables on nf_tables",
      { "iptables-legacy-save": filter() },
      "iptables-legacy -I INPUT -p tcp --dport 8000:8009 -j ACCEPT",
    ],
    [
      "iptables-legacy where it is the one",
      { "iptables-legacy-save": filter(), "iptables -V": "iptables v1.8.9 (legacy)" },
      "iptables -I INPUT -p tcp --dport 8000:8009 -j ACCEPT",
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
      "nftables",
      { "nft -j list ruleset": nft("inet fw", "in", "input") },
      "nft insert rule inet fw in tcp dport 8000-8009 accept",
    ],
    [
      "what lets some in, perhaps on purpose",
      { "iptables-nft-save": filter("-A INPUT -s 198.51.100.0/24 -j ACCEPT") },
      "to let devices in from elsewhere too: iptables -I INPUT -p tcp --dport 8000:8009 -j ACCEPT",
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
});
