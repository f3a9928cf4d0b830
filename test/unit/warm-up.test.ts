import { expect, test } from "vitest";
import { warmUp } from "../../server/warm-up.ts";

test("every packet of the rehearsal goes all the way, by the firewall, to its answer", async () => {
  const grants: string[] = [];
  const answered = await new Promise<number>((resolve) =>
    warmUp((grant) => grants.push(`${grant.device} ${grant.service.name}`), resolve),
  );
  expect(answered).toBe(500);
  expect(new Set(grants).size).toBe(1);
  expect(grants[0]).toMatch(/^nobody\/nothing [0-9a-f]{16}$/);
  expect(grants).toHaveLength(500);
});
