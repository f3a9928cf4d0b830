import type { Shape } from "../firewall/guard.ts";
import { doorRules, onPorts } from "../firewall/iptables-rules.ts";

/** Which ICMP a standalone ruleset lets in. `errors`: what connections need. `ping`: echo requests too. `all`: everything. */
export const ICMP = ["errors", "ping", "all"] as const;
export type Icmp = (typeof ICMP)[number];

/** RFC 4890 §4.4: destination unreachable, packet too big, time exceeded, parameter problem. */
const ERRORS = { 4: [3, 11, 12], 6: [1, 2, 3, 4] } as const;
const ECHO = { 4: 8, 6: 128 } as const;
/** RFC 4861: router and neighbour discovery, from the same link alone (hop limit 255). Without them there is no IPv6. */
const NEIGHBOURS = [133, 134, 135, 136] as const;

/** The table filter of a default-drop machine: nothing new comes in but through a door. */
export function iptablesFilter(shape: Shape, family: 4 | 6, icmp: Icmp): string[] {
  const protocol = family === 4 ? "icmp" : "ipv6-icmp";
  const type = family === 4 ? "--icmp-type" : "--icmpv6-type";
  const types = [...ERRORS[family], ...(icmp === "ping" ? [ECHO[family]] : [])];
  const always = shape.allow[family].map((network) => `-s ${network} -j ACCEPT`);
  const doors = shape.services.flatMap(({ name, ports }) =>
    [...always, ...doorRules(shape, name, "-j ACCEPT")].flatMap((rule) => onPorts(ports, rule)),
  );
  return [
    "*filter",
    ":INPUT DROP [0:0]",
    ":FORWARD DROP [0:0]",
    ":OUTPUT ACCEPT [0:0]",
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ...(icmp === "all"
      ? [`-A INPUT -p ${protocol} -j ACCEPT`]
      : types.map((each) => `-A INPUT -p ${protocol} ${type} ${each} -j ACCEPT`)),
    ...(family === 6 && icmp !== "all"
      ? NEIGHBOURS.map((each) => `-A INPUT -p ipv6-icmp --icmpv6-type ${each} -m hl --hl-eq 255 -j ACCEPT`)
      : []),
    ...(family === 6 ? ["-A INPUT -s fe80::/10 -p udp --sport 547 --dport 546 -j ACCEPT"] : []),
    "# the doors once more, so that this table stays shut should the other one be flushed",
    ...doors.map((rule) => `-A INPUT ${rule}`),
    "COMMIT",
  ];
}

/** The same for nft, in a table of its own. Sets cannot be shared between tables: the guard decides who reaches a service. */
export function nftFilter(shape: Shape, icmp: Icmp): string[] {
  const rule = (text: string): string => `add rule inet filter input ${text}`;
  const ports = shape.services.flatMap((service) =>
    (["tcp", "udp"] as const).flatMap((protocol) => {
      const list = service.ports[protocol].map(([first, last]) =>
        first === last ? first : `${first}-${last}`,
      );
      return list.length === 0 ? [] : [rule(`${protocol} dport { ${list.join(", ")} } accept`)];
    }),
  );
  const [v4, v6] = ([4, 6] as const).map((family) =>
    [...ERRORS[family], ...(icmp === "ping" ? [ECHO[family]] : [])].join(", "),
  );
  const control =
    icmp === "all"
      ? [rule("meta l4proto { icmp, ipv6-icmp } accept")]
      : [
          rule(`icmp type { ${v4} } accept`),
          rule(`icmpv6 type { ${v6} } accept`),
          rule(`icmpv6 type { ${NEIGHBOURS.join(", ")} } ip6 hoplimit 255 accept`),
        ];
  return [
    "# nothing new comes in but to the services, and there the guard has dropped whoever may not",
    "add table inet filter",
    "add chain inet filter input { type filter hook input priority 0; policy drop; }",
    "add chain inet filter forward { type filter hook forward priority 0; policy drop; }",
    rule("iif lo accept"),
    rule("ct state established,related accept"),
    ...control,
    rule("ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept"),
    ...ports,
  ];
}
