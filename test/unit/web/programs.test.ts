import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { opener } from "../../../client/ui-server/open-browser.ts";
import { localPage } from "../../../client/ui-server/server.ts";
import { buildWeb } from "../../../scripts/build-web.ts";

const root = new URL("../../../", import.meta.url);
const client = fileURLToPath(new URL("client/cli.ts", root));
const daemon = fileURLToPath(new URL("server/cli.ts", root));
const folder = mkdtempSync(join(tmpdir(), "tock-web-"));

const sha256 = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

beforeAll(async () => {
  const dist = new URL("dist/", root);
  if (!existsSync(new URL("tock.html", dist))) await buildWeb(dist, () => undefined);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the programs hand out the page", () => {
  test("tock web writes it and tells its hash", () => {
    const file = join(folder, "tock.html");
    const output = execFileSync(process.execPath, [client, "web", "--out", file], { encoding: "utf8" });
    expect(output).toBe(`${sha256(file)}  ${file}\n`);
    expect(readFileSync(file, "utf8")).toMatch(/^<!doctype html>/);
  });

  test("tock web without --out says what is missing", () => {
    const { status, stderr } = spawnSync(process.execPath, [client, "web"], { encoding: "utf8" });
    expect(status).toBe(2);
    expect(stderr).toContain("tock: error: --out is missing\n");
  });

  test("tock web that cannot write says why", () => {
    const args = [client, "web", "--out", "/proc/nonexistent/x"];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toBe(
      "tock: error: --out: cannot write /proc/nonexistent/x: no such file or folder\ntock: hint: name a place that is there and that you may write to, or - for standard output\n",
    );
  });

  test("tockd web writes the file and the folder", () => {
    const [file, site] = [join(folder, "page.html"), join(folder, "site")];
    const args = [daemon, "web", "--out", file, "--site", site];
    const output = execFileSync(process.execPath, args, { encoding: "utf8" });
    expect(output).toContain(`${sha256(file)}  ${file}\n`);
    const names = ["index.html", "manifest.webmanifest", "sw.js", "icon.svg", "icon-180.png", "icon-192.png"];
    expect(readdirSync(site)).toEqual(expect.arrayContaining(names));
  });

  test.each([
    [["web"], "--out, --site or --listen: expected one of them, got none"],
    [["web", "--listen", "8443"], '--listen: expected address:port, got "8443"'],
    [["web", "--listen", "[::]:8443", "--cert", "x"], "--cert and --key: expected both or none"],
  ])("tockd %j is refused", (args, message) => {
    const { status, stderr } = spawnSync(process.execPath, [daemon, ...args], { encoding: "utf8" });
    expect(status).toBe(2);
    expect(stderr).toContain(`tock: error: ${message}\n`);
  });
});

test("the page comes out the same each time, with the hash beside it", async () => {
  const folders = ["one", "two"].map((name) => pathToFileURL(join(folder, name, "/")));
  for (const each of folders) await buildWeb(each, () => undefined);
  const [one, two] = folders.map((each) => readTree(each));
  expect(one).toEqual(two);
  expect(one?.["tock.html.sha256"]).toContain(sha256(join(folder, "one", "tock.html")));
});

function readTree(root: URL): Record<string, string> {
  const names = readdirSync(root, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  const files = names.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    files.map((file) => [relative(fileURLToPath(root), file), readFileSync(file, "latin1")]),
  );
}

describe("tock ui", () => {
  test("lets the page ask its own server, and nothing else", () => {
    const page = localPage(readFileSync(new URL("dist/tock.html", root), "utf8"));
    expect(page).toContain("connect-src 'self'; base-uri 'none'");
    expect(page).toContain('<meta name="tock-ui" content="">');
  });

  test("hands the browser a file, not the address", () => {
    const file = "file:///home/alice/.config/tock/ui/1.html";
    expect(opener("linux", file)).toEqual(["xdg-open", file]);
    expect(opener("darwin", file)).toEqual(["open", file]);
    expect(opener("win32", file)[0]).toBe("rundll32");
  });
});
