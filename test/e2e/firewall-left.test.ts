import { chmod, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { type BackendName, RemoteFirewall, service } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { everything } from "../lab/ruleset.ts";

/** A guard of another backend, which the daemon of before has left: no grant reaches it any more. */

const ssh = service("ssh", "tcp/22");
const plan = { services: [ssh], silent: [] };

async function left(lab: Lab, backend: BackendName) {
  const [server, client] = await lab.hosts("server", "client");
  await (await server.agent()).listen("tcp", 22);
  const before = await RemoteFirewall.start(server, backend);
  await before.on(plan);
  await before.process.stop();
  const agent = await client.agent();
  return { server, client, probe: () => agent.probe(server.address.v4, 22, { timeout: 300 }) };
}

test("is taken out by a daemon that is not root, though the kernel tells root alone of it", async () => {
  await using lab = await Lab.create();
  const { server, client, probe } = await left(lab, "iptables-legacy");
  // As the package prepares it: the lock may be read.
  const lock = server.path("lock");
  await writeFile(lock, "");
  await chmod(lock, 0o644);
  const caps = "+net_admin,+net_raw";
  const user = `setpriv --reuid 1 --regid 1 --clear-groups --inh-caps ${caps} --ambient-caps ${caps}`;
  const prefix = ["sh", "-c", `mount --bind ${lock} /run/xtables.lock && exec ${user} "$@"`, "sh"];
  const next = await RemoteFirewall.start(server, "nftables", {}, prefix);
  await next.on(plan);
  expect(await probe()).toBe("filtered");
  await next.open(ssh, client.address.v4, 60);
  expect(await probe()).toBe("open");
  await next.off();
  expect(await everything(server)).not.toMatch(/tock/i);
});

test.each([
  ["iptables-legacy", "nftables"],
  ["iptables", "nftables"],
  ["iptables-legacy", "iptables"],
  ["nftables", "iptables"],
] as const)("of %s is gone when %s is told to take the guard off", async (before, now) => {
  await using lab = await Lab.create();
  const { server, probe } = await left(lab, before);
  expect(await probe()).toBe("filtered");
  const next = await RemoteFirewall.start(server, now);
  await next.off();
  expect(await probe()).toBe("open");
  expect(await everything(server)).not.toMatch(/tock/i);
});
