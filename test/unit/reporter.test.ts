import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

// The line that ends a run is what CI believes, so real runs of vitest are counted here, in a folder of their own.
const root = new URL("../../", import.meta.url).pathname;
mkdirSync(join(root, "build"), { recursive: true });
const folder = mkdtempSync(join(root, "build/reporter-"));
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
write("vitest.config.ts", `export default { test: { reporters: ["${root}test/support/reporter.ts"] } };`);
// Test files that the reporter is run over: one that fails and one that is left out are what it has to tell of.
const files = {
  mixed: `
    import { describe, test } from "vitest";
    test("good", () => {});
    test("bad", () => { throw new Error("bad"); });
    describe.skip("outside", () => { test("never", () => {}); });`,
  broken: `import "./not-there.ts";`,
  hook: `
    import { beforeAll, test } from "vitest";
    beforeAll(() => { throw new Error("no"); });
    test("cannot run", () => {});`,
  unhandled: `
    import { test } from "vitest";
    test("good", () => { void Promise.reject(new Error("nobody caught this")); });`,
  good: `import { test } from "vitest"; test("good", () => {});`,
  again: `
    import { test } from "vitest";
    let tries = 0;
    test("flaky", { retry: 1 }, () => { if (tries++ === 0) throw new Error("only at first"); });`,
};
for (const [name, text] of Object.entries(files)) write(`${name}.test.ts`, text);

function run(name: string, extra: NodeJS.ProcessEnv = {}): Promise<{ code: unknown; stdout: string }> {
  const env = { ...process.env, TEST_SUMMARY: undefined, VITEST: undefined, ...extra };
  const args = [join(root, "node_modules/vitest/vitest.mjs"), "run", "--root", folder, `${name}.test.ts`];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env }, (error, stdout) => {
      resolve({ code: error?.code ?? 0, stdout });
    });
  });
}

test.each([
  ["good", 0, "1 passed, 0 failed"],
  ["mixed", 1, "1 passed, 1 failed, 1 skipped"],
  ["broken", 1, "0 passed, 1 failed"],
  ["hook", 1, "0 passed, 1 failed, 1 skipped"],
  ["unhandled", 1, "1 passed, 1 failed"],
])("a run that is %s exits %i and ends in %s", async (name, code, line) => {
  const result = await run(name);
  expect(result.stdout.trimEnd().split("\n").at(-1)).toBe(line);
  expect(result.code).toBe(code);
});

test("a test that needed another try is named, with what went wrong before", async () => {
  const { stdout } = await run("again");
  expect(stdout).toContain("Passed only when tried again:\n  again.test.ts: flaky\n    only at first\n");
});

test("skipped tests are named, and the counts can go to a file", async () => {
  const file = join(folder, "summary.json");
  const { stdout } = await run("mixed", { TEST_SUMMARY: file });
  expect(stdout).toMatch(/^Skipped.*:\n  mixed.test.ts: outside > never\n/m);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ passed: 1, failed: 1, skipped: 1 });
});
