import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { completions } from "./package/completions.ts";
import { buildDeb } from "./package/deb.ts";
import { sbom } from "./package/sbom.ts";

// `npm run package`: the .deb, the npm tarball, the SBOM and their checksums in dist/. Two runs give the same bytes: every
// date is that of the last commit.

const root = new URL("..", import.meta.url).pathname;
const dist = join(root, "dist");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  }).trim();
}

const epoch = process.env["SOURCE_DATE_EPOCH"] ?? run("git", "log", "-1", "--format=%ct");
process.env["SOURCE_DATE_EPOCH"] = epoch;

run(process.execPath, join(root, "scripts/build.ts"));
await mkdir(join(dist, "completions"), { recursive: true });
for (const [file, text] of Object.entries(await completions()))
  await writeFile(join(dist, "completions", file), text);
await writeFile(
  join(dist, "sbom.cdx.json"),
  sbom(readFileSync(join(root, "package-lock.json"), "utf8"), Number(epoch)),
);

const deb = await buildDeb({ root, version: manifest.version, epoch: Number(epoch) });
const tarball = run("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", dist);
const made = [deb, tarball, "tock.js", "tock.html", "sbom.cdx.json"];
const sums = execFileSync("sha256sum", made, { cwd: dist, encoding: "utf8" });
await rm(join(dist, "SHA256SUMS"), { force: true });
await writeFile(join(dist, "SHA256SUMS"), sums);
process.stdout.write(sums);
