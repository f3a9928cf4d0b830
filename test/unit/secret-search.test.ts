import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { DeviceStore } from "../../server/store/device-store.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import { type Ran, SecretSearch } from "../lab/secret-search.ts";

/** The search that every end-to-end run ends with finds what it is for, in each place and each form. */

const folder = mkdtempSync(join(tmpdir(), "tock-search-"));
const state = join(folder, "state");
mkdirSync(state, { mode: 0o700 });
chmodSync(folder, 0o755);
const key = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 3);
unwrap(DeviceStore.create(state, { id: new Uint8Array(16), key: new Secret(key) })).close();
afterAll(() => rmSync(folder, { recursive: true }));

const nothing = (): Buffer => Buffer.alloc(0);
const quiet: Ran = { argv: ["node", "/x/server/cli.ts", "run"], env: {}, stdout: nothing, stderr: nothing };
const hex = Buffer.from(key).toString("hex");
const leaksOf = (ran: Partial<Ran>): string[] => {
  const search = new SecretSearch();
  search.record({ ...quiet, ...ran });
  return search.leaks(folder);
};

describe("the search for secrets", () => {
  test("nothing shows", () => {
    expect(leaksOf({})).toEqual([]);
  });

  test.each([
    ["hex", hex],
    ["base64", Buffer.from(key).toString("base64").replace(/=+$/, "")],
    ["a list of numbers", key.join(",")],
    ["raw", Buffer.from(key)],
  ])("on standard output in %s", (form, text) => {
    const bytes = Buffer.concat([Buffer.from("x "), Buffer.from(text)]);
    expect(leaksOf({ stdout: () => bytes }).join()).toMatch(new RegExp(`^secret 0.*${form}: output of node`));
  });

  test("on standard error, also of a command that shows a secret on purpose", () => {
    const argv = ["node", "/x/server/cli.ts", "user", "otp", "add", "bob"] as const;
    expect(leaksOf({ argv, stdout: () => Buffer.from(hex) })).toEqual([]);
    expect(leaksOf({ argv, stderr: () => Buffer.from(hex) }).join()).toMatch(/errors of/);
  });

  test("among arguments and in the environment of Tock's programs", () => {
    expect(leaksOf({ argv: [...quiet.argv, hex] as Ran["argv"] }).join()).toMatch(/arguments of/);
    expect(leaksOf({ env: { OOPS: hex } }).join()).toMatch(/environment of/);
    expect(leaksOf({ argv: ["oathtool", hex] })).toEqual([]);
  });

  test("in a file that others can read, and in no other", () => {
    const file = join(folder, "oops");
    writeFileSync(file, `oops ${hex}`, { mode: 0o600 });
    expect(leaksOf({})).toEqual([]);
    chmodSync(file, 0o644);
    expect(leaksOf({}).join()).toMatch(/\/oops$/);
    rmSync(file);
  });
});
