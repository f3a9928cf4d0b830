import { expect, test } from "vitest";
import { pooledRandom } from "../../server/random-pool.ts";

test("no byte of the pool is given twice, and what was given does not change", () => {
  let fills = 0;
  const random = pooledRandom((pool) => {
    for (let at = 0; at < pool.length; at += 4) new DataView(pool.buffer).setUint32(at, fills++);
  });
  const all = Array.from({ length: 1_000 }, () => random(24));
  const words = all.flatMap((bytes) =>
    [0, 4, 8, 12, 16, 20].map((at) => new DataView(bytes.buffer).getUint32(at)),
  );
  expect(new Set(words).size).toBe(6_000);
});

test("two pieces of the real one differ", () => {
  const random = pooledRandom();
  const pieces = Array.from({ length: 1_000 }, () => Buffer.from(random(24)).toString("hex"));
  expect(new Set(pieces).size).toBe(1_000);
  expect(() => random(4097)).toThrow("at most 4096 bytes, got 4097");
});
