import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** docs/DEPENDENCIES.md lists what there is, and package.json holds it to exact versions. */

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const manifest = JSON.parse(read("package.json")) as {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};
interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
}
const lock = JSON.parse(read("package-lock.json")) as { packages: Record<string, Locked> };
const runtime = { ...manifest.dependencies, ...manifest.optionalDependencies };
const rows = [...read("docs/DEPENDENCIES.md").matchAll(/^\| (\S+) \| (\d\S*) \| (\S+) \|/gm)];
const listed = new Map(rows.map(([, name = "", version = "", licence = ""]) => [name, { version, licence }]));
const LICENCES = ["MIT", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"];
/** The ready-made libraries of koffi and keyring, which the text speaks of as a whole. */
const PLATFORM = /^@koromix\/koffi-|^@napi-rs\/keyring-/;
/** Valibot's types know of it; it is ours for development alone. */
const COMPILER = /^typescript$|^@typescript\//;

test("every runtime dependency has its line, with the version in use", () => {
  for (const [name, version] of Object.entries(runtime))
    expect(listed.get(name)?.version, name).toBe(version);
});

test("so has everything that those bring along, and nothing else is listed", () => {
  const locked = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true)
    .map(([path, entry]) => [path.replace(/^.*node_modules\//, ""), entry] as const)
    .filter(([name]) => !COMPILER.test(name));
  const names = locked.map(([name]) => name);
  expect([...listed.keys()].sort()).toEqual(names.filter((name) => !PLATFORM.test(name)).sort());
  for (const [name, { version, license }] of locked) {
    expect(LICENCES, name).toContain(license);
    if (!PLATFORM.test(name)) expect(listed.get(name), name).toEqual({ version, licence: license });
  }
});

test("versions are exact", () => {
  for (const [name, version] of Object.entries({ ...runtime, ...manifest.devDependencies })) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  }
});
