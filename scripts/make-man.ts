import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { VERSION } from "../shared/version.ts";
import { roffOf } from "./man/markdown.ts";
import { heading, text, title } from "./man/roff.ts";
import { tockPage } from "./man/tock.ts";
import { tockdPage } from "./man/tockd.ts";

/** Writes packaging/man, or another folder that is named, from what the programs know of their commands and from docs/CONFIG.md. */

const [, , folder = fileURLToPath(new URL("../packaging/man", import.meta.url))] = process.argv;

/** tockd.toml(5) is docs/CONFIG.md. */
function configPage(): string {
  const markdown = readFileSync(new URL("../docs/CONFIG.md", import.meta.url), "utf8");
  const name = `${heading("NAME")}${text("tockd.toml - the configuration of tockd(8)")}\n${heading("DESCRIPTION")}`;
  const body = roffOf(markdown.replace(/^# .*\n/, ""));
  const more = `${heading("SEE ALSO")}${text("tockd(8), tock(1)")}\n`;
  return title("tockd.toml", 5, VERSION, "File Formats") + name + body + more;
}

mkdirSync(folder, { recursive: true });
const pages = { "tock.1": await tockPage(), "tockd.8": tockdPage(), "tockd.toml.5": configPage() };
for (const [name, page] of Object.entries(pages)) writeFileSync(`${folder}/${name}`, page);
