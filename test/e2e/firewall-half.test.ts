import { afterAll, beforeAll, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import { RemoteFirewall, service } from "../lab/firewall.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";

/** A grant by source port is two elements of an ipset, one for TCP and one for UDP: there are both of them or none. */

const web = service("web", "tcp/8000", "udp/8000");
const plan: GuardPlan = { services: [web], silent: [] };
const SOURCE = "192.0.2.7";
const SET = "tock4p-web";
let lab: Lab;
let server: Host;
let firewall: RemoteFirewall;

beforeAll(async () => {
  lab = await Lab.create();
  [server] = await lab.hosts("server");
  firewall = await RemoteFirewall.start(server, "iptables");
  await firewall.on(plan);
});
afterAll(() => lab[Symbol.asyncDispose]());

/** Puts an empty set with room for so many elements in place of the service's own. */
async function room(elements: number): Promise<void> {
  const type = ["hash:ip,port", "family", "inet", "timeout", "0", "maxelem", `${elements}`];
  await server.must(["ipset", "create", "small", ...type]);
  await server.must(["ipset", "swap", "small", SET]);
  await server.must(["ipset", "destroy", "small"]);
}

test("what the kernel took of a grant is taken back where it refuses the rest", async () => {
  await room(1);
  await expect(firewall.open(web, SOURCE, 60, { sourcePort: 40_000 })).rejects.toThrow(/ipset add/);
  expect(await firewall.list()).toEqual([]);
});

test("what was open before stays", async () => {
  await room(3);
  await firewall.open(web, SOURCE, 60, { sourcePort: 40_000 });
  await expect(firewall.open(web, SOURCE, 60, { sourcePort: 40_001 })).rejects.toThrow(/ipset add/);
  expect(await firewall.list()).toMatchObject([{ source: SOURCE, sourcePort: 40_000 }]);
  const { stdout } = await server.run(["ipset", "list", SET]);
  expect(stdout.match(/192\.0\.2\.7,/g)).toHaveLength(2);
});
