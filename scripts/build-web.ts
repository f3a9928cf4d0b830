import { mkdir, readFile, writeFile } from "node:fs/promises";
import { relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ICON_SVG, iconPng } from "./web/icon.ts";
import { ALONE, assemble, HOSTED, makeParts, sha256 } from "./web/page.ts";
import { workerScript } from "./web/worker.ts";

/** More than this is no small page any more. */
const MOST_BYTES = 150_000;
const ICONS = [180, 192, 512];

const root = new URL("../", import.meta.url);

/** Builds the web client into a folder: tock.html, which stands alone, and web/ for a web server. */
export async function buildWeb(folder: URL, say: (line: string) => void = console.log): Promise<void> {
  const { version } = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as {
    version: string;
  };
  const parts = await makeParts(version);
  const alone = assemble(parts, ALONE);
  const hosted = assemble(parts, HOSTED);
  for (const page of [alone, hosted]) {
    const size = Buffer.byteLength(page);
    if (size >= MOST_BYTES) throw new Error(`the page has ${size} bytes: expected fewer than ${MOST_BYTES}`);
  }
  const icons = Object.fromEntries(ICONS.map((size) => [`icon-${size}.png`, iconPng(size)]));
  const files: Record<string, string | Buffer> = {
    "index.html": hosted,
    "manifest.webmanifest": `${JSON.stringify(manifest(), undefined, 2)}\n`,
    "icon.svg": ICON_SVG,
    ...icons,
  };
  const names = ["./", ...Object.keys(files)];
  files["sw.js"] = workerScript(version, sha256(hosted).slice(0, 16), names);
  const web = new URL("web/", folder);
  await mkdir(web, { recursive: true });
  await writeFile(new URL("tock.html", folder), alone);
  for (const [name, data] of Object.entries(files)) await writeFile(new URL(name, web), data);
  const sums = [`${sha256(alone)}  tock.html`, `${sha256(hosted)}  web/index.html`, ""];
  await writeFile(new URL("tock.html.sha256", folder), sums.join("\n"));
  const written = relative(process.cwd(), fileURLToPath(new URL("tock.html", folder)));
  say(`${written}  ${Math.ceil(Buffer.byteLength(alone) / 1024)} kB`);
}

function manifest(): object {
  const icons = [192, 512].map((size) => ({
    src: `icon-${size}.png`,
    sizes: `${size}x${size}`,
    type: "image/png",
    purpose: "any maskable",
  }));
  return {
    name: "Tock",
    short_name: "Tock",
    description: "Opens ports of your servers that do not exist until you ask",
    id: "./",
    start_url: "./",
    scope: "./",
    display: "standalone",
    background_color: "#f4f6f3",
    theme_color: "#0a6b55",
    icons: [{ src: "icon.svg", sizes: "any", type: "image/svg+xml" }, ...icons],
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await buildWeb(new URL("dist/", root));
