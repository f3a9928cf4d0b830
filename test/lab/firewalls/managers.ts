import { eventually } from "../wait.ts";
import type { FirewallMachine } from "./machine.ts";
import type { Fixture } from "./fixture.ts";

/** Firewalls that a program manages, each by its own commands. */

async function ufw(machine: FirewallMachine): Promise<void> {
  // Rules first: until it is enabled they are files alone.
  await machine.sh("ufw allow 22/tcp\nufw limit 8080/tcp\nufw --force enable");
}

/** Anybody may say anything on this bus: it is the machine's own, and nothing but firewalld is there. */
const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="signal"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
`;

async function firewalld(machine: FirewallMachine, backend: "nftables" | "iptables"): Promise<void> {
  const set = `s/^FirewallBackend=.*/FirewallBackend=${backend}/`;
  await machine.sh(
    `mkdir -p /run/dbus && cat > /run/bus.conf && sed -i '${set}' /etc/firewalld/firewalld.conf
     firewall-offline-cmd --quiet --add-port=8080/tcp`,
    { input: BUS },
  );
  machine.start(["dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile"]);
  await machine.sh("until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done");
  machine.start(["firewalld", "--nofork", "--nopid"]);
  // Its own answer, as its rules are in by then.
  await eventually(
    "firewalld runs",
    async () => (await machine.run(["firewall-cmd", "--state"])).code === 0,
    {
      within: 60_000,
    },
  );
}

/** An address that was banned once, in the chains that fail2ban makes in front of everything. */
async function fail2ban(machine: FirewallMachine): Promise<void> {
  const jail = `[DEFAULT]
allowipv6 = auto
[sshd]
enabled = true
port = 22,2222
filter = sshd
backend = polling
logpath = /run/auth.log
banaction = iptables-multiport
bantime = -1
`;
  await machine.sh(
    "cat > /etc/fail2ban/jail.d/site.conf; rm -f /etc/fail2ban/jail.d/defaults-debian.conf; touch /run/auth.log; mkdir -p /run/fail2ban",
    {
      input: jail,
    },
  );
  machine.start(["fail2ban-server", "-f", "-b", "--logtarget", "/var/log/fail2ban.log", "start"]);
  const ban = ["fail2ban-client", "set", "sshd", "banip", "198.51.100.7", "2001:db8:bad::7"] as const;
  await eventually("fail2ban bans", async () => (await machine.run(ban)).code === 0, { within: 60_000 });
  await eventually("its rules are in", async () =>
    (await machine.host.must(["ip6tables-save"])).includes("2001:db8:bad::7"),
  );
}

const UFW = { rule: /: -P INPUT DROP$/, advice: /^ufw allow 2222\/tcp$/ };
const FIREWALLD = {
  advice: /^firewall-cmd --permanent --zone=public --add-port=2222\/tcp && firewall-cmd --reload$/,
};

export const MANAGERS: readonly Fixture[] = [
  {
    name: "ufw on nf_tables",
    backend: "iptables",
    raise: ufw,
    reload: (machine) => machine.must(["ufw", "reload"], { timeout: 60_000 }),
    drops: UFW,
  },
  {
    name: "ufw on iptables-legacy",
    backend: "iptables",
    legacy: true,
    raise: ufw,
    reload: (machine) => machine.must(["ufw", "reload"], { timeout: 60_000 }),
    drops: UFW,
  },
  {
    name: "firewalld with nftables",
    backend: "nftables",
    raise: (machine) => firewalld(machine, "nftables"),
    reload: (machine) => machine.must(["firewall-cmd", "--reload"], { timeout: 60_000 }),
    drops: { ...FIREWALLD, rule: /reject with icmpx .* in chain inet firewalld filter_IN_public$/ },
  },
  {
    name: "firewalld with iptables",
    backend: "iptables",
    raise: async (machine) => {
      await firewalld(machine, "iptables");
      // It puts its tables in another order than at its start.
      await machine.must(["firewall-cmd", "--reload"], { timeout: 60_000 });
    },
    reload: (machine) => machine.must(["firewall-cmd", "--reload"], { timeout: 60_000 }),
    drops: {
      ...FIREWALLD,
      rule: /: -A (INPUT|IN_public) -j REJECT --reject-with icmp6?-port-unreachable$/,
    },
  },
  {
    name: "fail2ban",
    backend: "iptables",
    raise: fail2ban,
    reload: (machine) => machine.must(["fail2ban-client", "reload"], { timeout: 60_000 }),
  },
];
