import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const folder = new URL("../../client/web/", import.meta.url);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** The parts that every form of the page is put together from. */
export interface Parts {
  readonly template: string;
  readonly script: string;
  readonly style: string;
}

/** Bundles the page's script and style. The same sources give the same bytes. */
export async function makeParts(version: string): Promise<Parts> {
  const bundle = await build({
    absWorkingDir: root,
    entryPoints: ["client/web/main.ts"],
    bundle: true,
    write: false,
    minify: true,
    platform: "browser",
    format: "iife",
    target: ["chrome120", "firefox121", "safari17"],
    define: { TOCK_VERSION: JSON.stringify(version) },
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
  });
  const css = await readFile(new URL("style.css", folder), "utf8");
  const style = await transform(css, { loader: "css", minify: true, charset: "utf8" });
  const script = bundle.outputFiles[0]?.text.trim() ?? "";
  // The parser of HTML would end the script there.
  if (/<\/script|<!--/i.test(script))
    throw new Error("the page's script holds text that ends a script element");
  return { template: await readFile(new URL("page.html", folder), "utf8"), script, style: style.code.trim() };
}

/** What a form of the page may do beside running its own script and style. */
export interface Form {
  readonly links: string;
  readonly rules: readonly string[];
}

/** The file alone: it may fetch nothing from anywhere. */
export const ALONE: Form = { links: "", rules: ["img-src data:", "connect-src 'none'"] };

/** The page with its files beside it, for a web server. */
export const HOSTED: Form = {
  links: [
    '<link rel="manifest" href="manifest.webmanifest">',
    '<link rel="icon" type="image/svg+xml" href="icon.svg">',
    '<link rel="apple-touch-icon" href="icon-180.png">',
    "",
  ].join("\n"),
  rules: ["img-src 'self'", "manifest-src 'self'", "worker-src 'self'", "connect-src 'none'"],
};

export function assemble({ template, script, style }: Parts, { links, rules }: Form): string {
  const policy = [
    "default-src 'none'",
    `script-src '${digest(script)}'`,
    `style-src '${digest(style)}'`,
    ...rules,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const values: Record<string, string> = { policy, links, style, script };
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? "");
}

function digest(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

export function sha256(data: string): string {
  return createHash("sha256").update(data).digest("hex");
}
