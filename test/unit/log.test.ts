import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parseAddress } from "../../shared/address.ts";
import { unwrap } from "../../shared/result.ts";
import { redacted } from "../../server/log.ts";

const source = fileURLToPath(new URL("../../server/log.ts", import.meta.url));

/** What a program prints that makes a log and does this with it. */
function printed(act: string): { lines: Record<string, unknown>[]; code: number | null } {
  const code = `import { makeLog } from ${JSON.stringify(source)}; const log = makeLog({ human: false, verbose: false }); ${act}`;
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  const lines = ran.stdout.split("\n").filter((line) => line !== "");
  return { lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>), code: ran.status };
}

test("every line is written before the process ends, in its order, however it ends", () => {
  for (const end of [
    "",
    "process.exit(3)",
    "throw new Error('a bug')",
    "log.fatal('the end'); process.exit(3)",
  ]) {
    const { lines } = printed(`for (let n = 0; n < 3000; n++) log.info({ n }, "line"); ${end}`);
    const numbers = lines.flatMap(({ n }) => (n === undefined ? [] : [n]));
    expect(numbers, end).toEqual(Array.from({ length: 3000 }, (_, n) => n));
  }
});

test("a line does not wait for the next one", () => {
  const { lines, code } = printed(
    `log.info("first"); setTimeout(() => process.kill(process.pid, "SIGKILL"), 1000);`,
  );
  expect(code).toBeNull();
  expect(lines.map(({ msg }) => msg)).toEqual(["first"]);
});

test("what is named as a secret is not printed, at any depth", () => {
  const allowed = unwrap(parseAddress("192.0.2.1"));
  const fields = {
    device: "alice/phone",
    allowed,
    secret: "s",
    deep: { er: { key: "k", name: "n" } },
    otp: 123,
  };
  expect(redacted(fields)).toEqual({
    device: "alice/phone",
    allowed,
    secret: "[Redacted]",
    deep: { er: { key: "[Redacted]", name: "n" } },
    otp: "[Redacted]",
  });
  expect(fields.secret).toBe("s");
  const plain = { allowed, counts: { key1: 1 } };
  expect(redacted(plain)).toBe(plain);
  expect(printed(`log.info({ secret: "s", deep: { otp: "1" } }, "x")`).lines[0]).toMatchObject({
    secret: "[Redacted]",
    deep: { otp: "[Redacted]" },
  });
});
