import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LONG_FILES, RULES, violations } from "../support/architecture.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const paths = globSync("{shared,server,client}/**/*.ts", { cwd: root });

describe("the code keeps its shape", () => {
  test("there is code to look at", () => {
    expect(paths).toContain("shared/result.ts");
    expect(paths).toContain("server/cli.ts");
    expect(paths).toContain("client/cli.ts");
  });

  test.each(paths)("%s", (path) => {
    expect(violations({ path, text: read(path) })).toEqual([]);
  });

  test("every file excused for its length exists and is long", () => {
    const idle = Object.keys(LONG_FILES).filter((path) => read(path).split("\n").length <= 301);
    expect(idle).toEqual([]);
  });

  test.each(["shared", "server/core"])("the compiler knows neither Node nor a browser in %s", (folder) => {
    const own = JSON.parse(read(`${folder}/tsconfig.json`)) as { compilerOptions: Record<string, unknown> };
    const base = JSON.parse(read("tsconfig.base.json")) as { compilerOptions: Record<string, unknown> };
    const options = { ...base.compilerOptions, ...own.compilerOptions };
    expect(options["types"]).toEqual([]);
    expect(options["lib"]).toEqual(["es2024"]);
  });
});

// Each rule is shown to see what it forbids, and to leave alone what it does not.
const BROKEN: [path: string, text: string, words: RegExp][] = [
  ["shared/a.ts", 'import { x } from "node:crypto";', /^shared imports only/],
  ["shared/a.ts", 'import type { x } from "valibot";', /^shared imports only/],
  ["shared/a.ts", 'export * from "../server/core/grant.ts";', /^shared imports only/],
  ["shared/a.ts", 'type T = import("node:net").Socket;', /^shared imports only/],
  ["shared/a.ts", 'import "otpauth-other";', /^shared imports only/],
  ["server/core/a.ts", 'import { sha256 } from "@noble/hashes/sha2.js";', /^server\/core imports only/],
  ["server/core/a.ts", 'import { x } from "../store/journal.ts";', /^server\/core imports only/],
  ["client/a.ts", 'import { x } from "../server/core/grant.ts";', /^client never/],
  ["client/commands/a.ts", 'export { x } from "../../server/cli.ts";', /^client never/],
  ["server/a.ts", 'await import("../client/ui.ts");', /^server never/],
  ["client/web/a.ts", 'import { x } from "node:fs";', /^the page/],
  ["client/web/a.ts", 'import { x } from "../ui.ts";', /^the page/],
  ["server/capture/a.ts", 'import { x } from "../firewall/guard.ts";', /^capture, store, firewall and admin/],
  [
    "server/admin/a.ts",
    'import type { X } from "../store/devices.ts";',
    /^capture, store, firewall and admin/,
  ],
  ["server/store/a.ts", 'import { x } from "../daemon.ts";', /^capture, store, firewall, admin, sys/],
  ["server/sys/a.ts", 'import { x } from "../commands/run.ts";', /^capture, store, firewall, admin, sys/],
  ["server/capture/a.ts", 'import koffi from "koffi";', /^koffi/],
  ["client/a.ts", 'import koffi from "koffi";', /^koffi/],
  ["client/a.ts", 'import { Entry } from "@napi-rs/keyring";', /^the optional keyring/],
  ["server/a.ts", 'import { x } from "../test/support/root.ts";', /^the product/],
  ["shared/a.ts", "export const now = () => Date.now();", /^shared and server\/core take/],
  ["shared/a.ts", 'export const now = () => Date["now"]();', /^shared and server\/core take/],
  ["shared/a.ts", "export const now = () => new Date();", /^shared and server\/core take/],
  ["shared/a.ts", "export const r = Math.random();", /^shared and server\/core take/],
  ["server/core/a.ts", "export const e = process.env;", /^shared and server\/core take/],
  ["server/core/a.ts", "export const b = Buffer.alloc(1);", /^shared and server\/core take/],
  ["server/core/a.ts", "export const c = globalThis.crypto;", /^shared and server\/core take/],
  ["shared/a.ts", "export const d = document.body;", /^shared and server\/core take/],
  ["client/a.ts", "\n".repeat(301), /^no file is longer/],
];

const KEPT: [path: string, text: string][] = [
  [
    "shared/a.ts",
    'import { HOTP } from "otpauth"; import { x } from "@noble/ciphers/chacha.js"; import "./b.ts";',
  ],
  ["shared/a.ts", "export const d = new Date(0); export const f = (a: { process: number }) => a.process;"],
  ["server/core/a.ts", 'import { ok } from "../../shared/result.ts"; import { g } from "./grant.ts";'],
  [
    "server/capture/a.ts",
    'import { bind } from "../sys/libc.ts"; import "../core/grant.ts"; import "./frame.ts";',
  ],
  ["server/sys/a.ts", 'import koffi from "koffi";'],
  ["client/a.ts", 'const { Entry } = await import("@napi-rs/keyring"); Date.now(); process.exit();'],
  ["client/web/a.ts", 'import "./b.ts"; import "../../shared/result.ts"; document.title = "";'],
  ["server/daemon.ts", 'import "./capture/a.ts"; import "./firewall/a.ts";'],
  ["client/a.ts", "\n".repeat(300)],
];

describe("the rules see what they forbid", () => {
  test.each(BROKEN)("%s: %s", (path, text, words) => {
    const rule = RULES.find((each) => words.test(each.words))?.words;
    expect(rule).toBeDefined();
    expect(violations({ path, text }).filter((line) => line.endsWith(`(${rule})`))).toHaveLength(1);
  });

  test.each(KEPT)("%s may be: %s", (path, text) => {
    expect(violations({ path, text })).toEqual([]);
  });

  test("every rule has an example that breaks it", () => {
    const idle = RULES.filter((rule) => !BROKEN.some(([, , words]) => words.test(rule.words)));
    expect(idle).toEqual([]);
  });

  test("a file that does not parse is an error", () => {
    expect(() => violations({ path: "shared/a.ts", text: "import {" })).toThrow("shared/a.ts");
  });
});
