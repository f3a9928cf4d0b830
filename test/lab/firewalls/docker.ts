import { mkdir } from "node:fs/promises";
import type { FirewallMachine } from "./machine.ts";
import { DOOR, type Fixture, REFUSED } from "./fixture.ts";

/** Docker itself, with a container whose port is published. */

const SOCKET = "unix:///run/docker.sock";
/** Not what else may be called `docker` on the machine that runs the tests. */
const docker = (...args: string[]): readonly [string, ...string[]] => [
  "/usr/bin/docker",
  "-H",
  SOCKET,
  ...args,
];
const IPV6 = ["--ipv6", "--fixed-cidr-v6", "fd00:d0c::/64", "--experimental", "--ip6tables"];
const PUBLISHED = 8000;

async function raise(machine: FirewallMachine): Promise<void> {
  const files = [
    "--data-root",
    "/run/docker-data",
    "--exec-root",
    "/run/docker",
    "--pidfile",
    "/run/docker.pid",
  ];
  // A branch of the control groups of its own, with nothing in its root, as containers want it.
  const group = machine.host.namespace;
  const before = `
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir /sys/fs/cgroup/${group} && echo 0 > /sys/fs/cgroup/${group}/cgroup.procs
    umount /sys/fs/cgroup
    set -- unshare --cgroup sh -ec '
      mount -t cgroup2 cgroup2 /sys/fs/cgroup
      mkdir /sys/fs/cgroup/init && echo 0 > /sys/fs/cgroup/init/cgroup.procs
      exec "$@"' sh "$@"`;
  const daemon = machine.start(
    ["dockerd", "-H", SOCKET, "--storage-driver", "vfs", ...files, ...IPV6],
    before,
  );
  await daemon.waitFor(/API listen on/, 60_000);
  const image = machine.host.path("image");
  await mkdir(image);
  await machine.sh(
    `cp /usr/bin/busybox ${image}/busybox && tar -C ${image} -c . | ${docker("import", "-", "web").join(" ")}`,
    {
      timeout: 60_000,
    },
  );
  const publish = [PUBLISHED, DOOR, REFUSED].flatMap((port) => ["--publish", `${port}:80`]);
  const web = ["--name", "web", ...publish, "web", "/busybox", "httpd", "-f", "-p", "80"];
  await machine.must(docker("run", "--detach", ...web), { timeout: 60_000 });
}

/** As Docker's manual has it for those who want but one port seen. Docker 20 has the chain for IPv4 alone. */
async function raiseWithRules(machine: FirewallMachine): Promise<void> {
  await raise(machine);
  const outside = `-i eth0 -p tcp -m conntrack ! --ctorigdstport ${PUBLISHED} -j DROP`;
  await machine.sh(`iptables -I DOCKER-USER ${outside}; ip6tables -I FORWARD ${outside}`);
}

/** The container's rules go and come back. */
function reload(machine: FirewallMachine): Promise<unknown> {
  return machine.must(docker("restart", "--time", "0", "web"), { timeout: 60_000 });
}

const drops = {
  rule: /: -A (DOCKER-USER|FORWARD) -i eth0 -p tcp -m conntrack ! --ctorigdstport 8000 -j DROP$/,
  advice:
    /^(iptables -I DOCKER-USER|ip6tables -I FORWARD) -d \S+ -p tcp -m conntrack --ctstate DNAT --ctorigdstport 2222 -j ACCEPT$/,
};

export const DOCKERS: readonly Fixture[] = [
  { name: "Docker", backend: "iptables", published: PUBLISHED, drops, raise: raiseWithRules, reload },
  // With it Docker 20 leaves ports over IPv6 to its proxy, a process of this machine.
  {
    name: "Docker on iptables-legacy",
    backend: "iptables",
    legacy: true,
    published: PUBLISHED,
    raise,
    reload,
  },
];
