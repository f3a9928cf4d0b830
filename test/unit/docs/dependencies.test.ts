import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { sbom } from "../../../scripts/package/sbom.ts";

/** docs/DEPENDENCIES.md lists what there is, and package.json holds it to exact versions. */

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const manifest = JSON.parse(read("package.json")) as {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  allowScripts: Record<string, boolean>;
};
interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
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

const shipped = Object.entries(lock.packages)
  .filter(([path, { dev }]) => path !== "" && dev !== true)
  .map(([path, entry]) => ({ path, name: path.replace(/^.*node_modules\//, ""), ...entry }));

test("everything is pinned by its hash, and nothing that is shipped runs a script when it is installed", () => {
  for (const [path, { integrity }] of Object.entries(lock.packages)) {
    if (path !== "") expect(integrity, path).toMatch(/^sha512-/);
  }
  const withScript = shipped.filter(({ hasInstallScript }) => hasInstallScript === true);
  expect(withScript.map(({ name }) => [name, manifest.allowScripts[name]])).toEqual([["koffi", false]]);
});

test("what is installed says the same licence as the lock file", () => {
  const installed = shipped.filter(({ path }) =>
    existsSync(new URL(`../../../${path}/package.json`, import.meta.url)),
  );
  expect(installed.length).toBeGreaterThan(20);
  for (const { path, license } of installed) {
    expect((JSON.parse(read(`${path}/package.json`)) as Locked).license, path).toBe(license);
  }
});

test("the bill of materials names all of it, and the Node that runs it, each with licence and hash", () => {
  const bill = JSON.parse(sbom(read("package-lock.json"), 0)) as {
    components: { name: string; version: string; licenses?: unknown[]; hashes?: unknown[] }[];
  };
  const names = bill.components.map(({ name, version }) => `${name} ${version}`);
  const node = lock.packages["node_modules/node"]?.version;
  const wanted = [...shipped.map(({ name, version }) => `${name} ${version}`), `node ${node}`];
  expect(names.toSorted()).toEqual(wanted.toSorted());
  for (const { name, licenses, hashes } of bill.components) {
    expect([name, licenses?.length, hashes?.length]).toEqual([name, 1, 1]);
  }
});
