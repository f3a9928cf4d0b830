import { spawn, spawnSync } from "node:child_process";
import { text } from "node:stream/consumers";
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

test.each(["false", "true"])(
  "a full disk keeps nothing from going on, nor from ending (sync: %s)",
  (sync) => {
    const act = `log.info("lost"); setTimeout(() => (log.info("lost"), process.stderr.write("went on")), 100);`;
    const code = `import { makeLog } from ${JSON.stringify(source)}; const log = makeLog({ human: false, verbose: false, sync: ${sync} }); ${act}`;
    const words = ["-c", '"$@" > /dev/full', "sh", process.execPath, "--input-type=module", "-e", code];
    const ran = spawnSync("sh", words, { encoding: "utf8", timeout: 20_000 });
    expect(ran).toMatchObject({ status: 0, stderr: "went on" });
  },
);

test("lines that nobody reads take no more than a megabyte, and later ones are read again", async () => {
  const act = `const line = "x".repeat(1000); for (let n = 0; n < 20_000; n++) log.info(line); const before = process.memoryUsage().rss;
    setTimeout(() => { log.info({ grown: before }, "after"); }, 300); process.stdin.once("data", () => setTimeout(() => (log.info("last"), process.exit(0)), 300));`;
  const code = `import { makeLog } from ${JSON.stringify(source)}; const log = makeLog({ human: false, verbose: false }); ${act}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const all = text(child.stdout);
  child.stdin.end("go\n");
  const lines = (await all).split("\n").filter((line) => line !== "");
  expect(lines.length).toBeGreaterThan(500);
  expect(lines.length).toBeLessThan(3_000);
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ msg: "last" });
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
