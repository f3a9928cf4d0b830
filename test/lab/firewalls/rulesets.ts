import { must } from "../exec.ts";
import type { FirewallMachine } from "./machine.ts";
import { makeNamespace } from "../segment.ts";
import type { Fixture } from "./fixture.ts";

/** Firewalls that are a file of rules. */

/** With everything that such a file has, in the order of Debian's wiki and many a tutorial. */
function iptablesRules(family: 4 | 6): string {
  const icmp = family === 4 ? "icmp" : "ipv6-icmp";
  return `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p ${icmp} -j ACCEPT
-A INPUT -p tcp -m conntrack --ctstate NEW -m multiport --dports 22,8080 -j ACCEPT
COMMIT
`;
}

async function restore(machine: FirewallMachine): Promise<void> {
  await machine.must(["iptables-restore"], { input: iptablesRules(4) });
  await machine.must(["ip6tables-restore"], { input: iptablesRules(6) });
}

/** `/etc/nftables.conf` of a server: one table for both families, and nothing in but what is named. */
const PLAIN = `flush ruleset
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iif "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport { 22, 8080 } ct state new accept
  }
  chain forward { type filter hook forward priority filter; policy drop; }
  chain output { type filter hook output priority filter; policy accept; }
}
`;

/** Debian's /usr/share/doc/nftables/examples/workstation.nft, its line for services active, and a table for each family beside it. */
async function debian(machine: FirewallMachine): Promise<void> {
  const example = "/usr/share/doc/nftables/examples/workstation.nft";
  await machine.sh(
    `sed 's/#tcp dport { 22, 80, 443 }/tcp dport { 22, 8080 }/' ${example} > /run/nftables.conf
     cat >> /run/nftables.conf <<'END'
table ip guests {
  set banned { type ipv4_addr; flags interval; elements = { 198.18.0.0/15 } }
  chain input { type filter hook input priority -5; ip saddr @banned drop; }
}
table ip6 guests {
  chain input { type filter hook input priority -5; ip6 saddr 2001:db8:bad::/48 drop; }
}
END
     nft -f /run/nftables.conf`,
  );
}

/** A router: masquerade, and a port that leads to a host behind it, also for its neighbours there. */
const GATEWAY = `flush ruleset
table inet router {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport vmap { 22 : accept, 8080 : accept, 23 : drop }
    iifname "inside" jump home
  }
  chain home { tcp dport { 2222, 9999 } accept; }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct status dnat accept
    iifname "inside" accept
  }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    fib daddr type local tcp dport 8000 dnat ip to 198.51.100.1:22
    fib daddr type local tcp dport 8000 dnat ip6 to [fd00:db8::1]:22
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "eth0" masquerade
    ip saddr 198.51.100.0/24 ip daddr 198.51.100.0/24 masquerade
  }
}
`;

async function gateway(machine: FirewallMachine): Promise<void> {
  const { host } = machine;
  const inside = `${host.namespace}-inside`;
  await makeNamespace(inside);
  await host.must(["ip", "link", "add", "inside", "type", "veth", "peer", "eth0", "netns", inside]);
  const plugs = [
    { namespace: host.namespace, device: "inside", last: "fe" },
    { namespace: inside, device: "eth0", last: "1" },
  ];
  for (const { namespace, device, last } of plugs) {
    const lines = [
      `link set ${device} up`,
      `addr add 198.51.100.${Number.parseInt(last, 16)}/24 dev ${device}`,
      `addr add fd00:db8::${last}/64 dev ${device} nodad`,
    ];
    await must(["ip", "-n", namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }
  const routes = ["route add default via 198.51.100.254", "-6 route add default via fd00:db8::fe"];
  for (const route of routes) await must(["ip", "-n", inside, ...route.split(" ")]);
  await host.must(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  host.start(["ip", "netns", "exec", inside, "busybox", "httpd", "-f", "-p", "22"]);
  await machine.must(["nft", "-f", "-"], { input: GATEWAY });
}

const INPUT_POLICY = { rule: /-P INPUT DROP/, advice: /^ip6?tables -A INPUT -p tcp --dport 2222 -j ACCEPT$/ };

export const RULESETS: readonly Fixture[] = [
  {
    name: "an empty machine",
    backend: "iptables",
    raise: () => Promise.resolve(),
    reload: () => Promise.resolve(),
  },
  {
    name: "nftables with a policy of drop",
    backend: "nftables",
    raise: (machine) => machine.must(["nft", "-f", "-"], { input: PLAIN }).then(() => undefined),
    reload: (machine) => machine.must(["nft", "-f", "-"], { input: PLAIN }),
    drops: {
      rule: /policy drop of chain inet filter input/,
      advice: /^nft add rule inet filter input tcp dport 2222 accept$/,
    },
  },
  {
    name: "the same, and Tock by iptables beside it",
    backend: "iptables",
    raise: (machine) => machine.must(["nft", "-f", "-"], { input: PLAIN }).then(() => undefined),
    reload: (machine) => machine.must(["nft", "-f", "-"], { input: PLAIN }),
    drops: {
      rule: /policy drop of chain inet filter input/,
      advice: /^nft add rule inet filter input tcp dport 2222 accept$/,
    },
  },
  {
    name: "Debian's example for nftables with tables of each family",
    backend: "nftables",
    raise: debian,
    reload: (machine) => machine.must(["nft", "-f", "/run/nftables.conf"]),
    drops: {
      rule: /counter drop .*in chain inet filter input/,
      advice: /^nft insert rule inet filter input handle \d+ tcp dport 2222 accept$/,
    },
  },
  {
    name: "iptables on nf_tables with a policy of DROP",
    backend: "iptables",
    raise: restore,
    reload: restore,
    drops: INPUT_POLICY,
  },
  {
    name: "iptables-legacy with a policy of DROP",
    backend: "iptables",
    legacy: true,
    raise: restore,
    reload: restore,
    drops: INPUT_POLICY,
  },
  {
    name: "a gateway with masquerade and a port of a host behind it",
    backend: "nftables",
    published: 8000,
    raise: gateway,
    reload: (machine) => machine.must(["nft", "-f", "-"], { input: GATEWAY }),
    drops: {
      rule: /policy drop of chain inet router input/,
      advice: /^nft add rule inet router input tcp dport 2222 accept$/,
    },
  },
];
