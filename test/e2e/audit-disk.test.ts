import { expect, test } from "vitest";
import { Scene } from "../lab/scene.ts";
import { eventually } from "../lab/wait.ts";

test("audit lines wait while the disk is full, and are all there once it is not", async () => {
  await using scene = await Scene.set({ disk: "4M" });
  const phone = await scene.device("alice/phone");
  const filler = `${scene.daemon.state}/filler`;
  const trail = async (): Promise<{ waiting: number; trouble: string | null }> => {
    const { stdout } = await scene.daemon.command("status", "--json");
    return (JSON.parse(stdout) as { trail: { waiting: number; trouble: string | null } }).trail;
  };
  await scene.send(scene.client, 4, phone.packet());
  await scene.opens(scene.client, 4);
  await scene.daemon.inside(["sh", "-c", `cat /dev/zero > ${filler} 2>/dev/null; true`]);
  const rounds = 20;
  for (let n = 0; n < rounds; n++) await scene.send(scene.client, 4, phone.packet());
  await eventually("lines wait", async () => (await trail()).waiting > 0);
  expect((await trail()).trouble).toBe("ENOSPC");
  expect((await scene.daemon.command("status")).stderr).toMatch(/the audit trail cannot be written: ENOSPC/);
  expect(await scene.sees(scene.client, 4)).toBe(true);
  await scene.daemon.inside(["rm", filler]);
  await eventually("they are written", async () => (await trail()).waiting === 0);
  expect((await trail()).trouble).toBeNull();
  const lines = (await scene.daemon.must("events", "--json")).trim().split("\n");
  expect(lines.filter((line) => line.includes('"kind":"granted"'))).toHaveLength(1 + rounds);
  expect(await scene.daemon.must("events", "--verify")).toMatch(/none changed, none missing/);
});
