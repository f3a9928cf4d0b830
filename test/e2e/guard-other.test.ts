import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab } from "../lab/lab.ts";
import { BACKENDS, TockServer } from "../lab/tock-server.ts";

/** After a switch of the backend: the guard of the other one is in the kernel still, and what there is of the new one says nothing of it. */

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.create();
});
afterAll(() => lab[Symbol.asyncDispose]());

test.each(BACKENDS)(
  "guard status tells that a guard of %s stands where the other backend is configured",
  async (backend) => {
    const [host] = await lab.hosts(`server-${backend.slice(0, 3)}`);
    const server = await TockServer.create(host, { backend });
    expect(await server.must("guard", "status")).toBe("guard: on\n");
    await server.configure({ backend: backend === "iptables" ? "nftables" : "iptables" });
    const { code, stdout, stderr } = await server.command("guard", "status");
    expect([code, stdout]).toEqual([1, "guard: off\n"]);
    expect(stderr).toContain(`a guard of ${backend} stands`);
    await server.must("guard", "on");
    const taken = await server.command("guard", "status");
    expect(taken).toMatchObject({ code: 0, stdout: "guard: on\n", stderr: "" });
  },
);

test("guard status and doctor make no table of iptables-legacy", async () => {
  const [host] = await lab.hosts("looked");
  const server = await TockServer.create(host, { backend: "nftables" });
  await server.must("guard", "off");
  const tables = async (): Promise<string> =>
    (await host.run(["sh", "-c", "cat /proc/self/net/ip_tables_names /proc/self/net/ip6_tables_names"]))
      .stdout;
  expect(await tables()).toBe("");
  await server.command("guard", "status");
  await server.command("doctor");
  expect(await tables()).toBe("");
});
