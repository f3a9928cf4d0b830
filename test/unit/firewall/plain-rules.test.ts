import { expect, test } from "vitest";
import { shapeOf } from "../../../server/firewall/guard.ts";
import { iptablesChains } from "../../../server/firewall/iptables-rules.ts";
import { nftScript } from "../../../server/firewall/nft-rules.ts";
import { ports, service } from "../../lab/firewall.ts";

/** What each packet of an ordinary server costs: keys that it does not use may not add a rule. */

const shape = shapeOf({
  services: [service("ssh", "tcp/22", "udp/60000-61000")],
  silent: ["udp/62201", "tcp/10000-10099"].map(ports),
});

test.each([4, 6] as const)("the guard of an ordinary plan, by iptables over IPv%s", (family) => {
  const set = (kind: string): string => `-m set --match-set tock${family}${kind}-ssh`;
  const elsewhere = {
    4: "-m addrtype ! --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST -j RETURN",
    6: "! -d ff00::/8 -m addrtype ! --dst-type LOCAL,ANYCAST -j RETURN",
  };
  expect([...iptablesChains(shape, family)]).toEqual([
    [
      "TOCK-GUARD",
      [
        "-i lo -j RETURN",
        elsewhere[family],
        "-p udp -m multiport --dports 62201 -j DROP",
        "-m conntrack --ctstate ESTABLISHED -j RETURN",
        "-p tcp -m multiport --dports 10000:10099 -j DROP",
        "-p tcp -m multiport --dports 22 -g TOCK-ssh",
        "-p udp -m multiport --dports 60000:61000 -g TOCK-ssh",
      ],
    ],
    [
      "TOCK-ssh",
      [
        `${set("")} src -j RETURN`,
        `${set("p")} src,src -j RETURN`,
        `-m conntrack --ctstatus CONFIRMED ${set("c")} src ! --update-counters -j RETURN`,
        `${set("c")} src --packets-lt 1000000 -j RETURN`,
        `-m conntrack --ctstatus CONFIRMED ${set("pc")} src,src ! --update-counters -j RETURN`,
        `${set("pc")} src,src --packets-lt 1000000 -j RETURN`,
        "-j DROP",
      ],
    ],
  ]);
});

test("the guard of an ordinary plan, by nft", () => {
  const plain = "flags dynamic, timeout; size 65535; }";
  const limit = "limit rate 1/week counter; }";
  const sets = ([4, 6] as const).flatMap((family) => {
    const type = `type ipv${family}_addr`;
    return [
      `tock${family}-ssh { ${type}; ${plain}`,
      `tock${family}p-ssh { ${type} . inet_service; flags timeout; }`,
      `tock${family}c-ssh { ${type}; flags timeout; }`,
      `tock${family}cl-ssh { ${type}; flags timeout; ${limit}`,
      `tock${family}pc-ssh { ${type} . inet_service; flags timeout; }`,
      `tock${family}pcl-ssh { ${type} . inet_service; flags timeout; ${limit}`,
    ].map((set) => `add set inet tock ${set}`);
  });
  const passes = ["ip", "ip6"].flatMap((ip) => {
    const set = (kind: string): string => `@tock${ip === "ip" ? 4 : 6}${kind}-ssh return`;
    return [
      `${ip} saddr ${set("")}`,
      `${ip} saddr . th sport ${set("p")}`,
      `ct status confirmed ${ip} saddr ${set("c")}`,
      `${ip} saddr ${set("cl")}`,
      `ct status confirmed ${ip} saddr . th sport ${set("pc")}`,
      `${ip} saddr . th sport ${set("pcl")}`,
    ];
  });
  const script = nftScript(shape, { awake: true, misplaced: [], staleChains: [], staleSets: [] });
  expect(
    script
      .replaceAll(/ comment ".*"/g, "")
      .trimEnd()
      .split("\n"),
  ).toEqual([
    ...sets,
    "add chain inet tock guard { type filter hook prerouting priority -150; policy accept; }",
    "add chain inet tock service-ssh",
    "flush chain inet tock guard",
    "flush chain inet tock service-ssh",
    ...[
      "iif lo return",
      "fib daddr type != { local, broadcast, anycast, multicast } return",
      "udp dport { 62201 } drop",
      "ct state established return",
      "tcp dport { 10000-10099 } drop",
      "tcp dport { 22 } goto service-ssh",
      "udp dport { 60000-61000 } goto service-ssh",
    ].map((rule) => `add rule inet tock guard ${rule}`),
    ...[...passes, "drop"].map((rule) => `add rule inet tock service-ssh ${rule}`),
  ]);
});
