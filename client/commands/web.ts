import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { ioError } from "../../shared/io-error.ts";
import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { readPage } from "../page-file.ts";
import { EXIT, usage } from "../ui.ts";

const OPTIONS = {
  out: { value: "file", help: "where to write it; - for standard output" },
} as const satisfies Options;

export const command = defineCommand({
  name: "web",
  summary: "write the web client, one file that works in any browser",
  words: [],
  options: OPTIONS,
  notes: [
    "The file needs no server: open it from disk, or put it on any static host with https. It prints the file's SHA-256,\nwhich the release notes tell too.",
  ],
  examples: [
    ["tock web --out tock.html", "then open tock.html in a browser"],
    ["tock web --out - | ssh host 'cat > /var/www/tock.html'", "put it on a web server"],
  ],
  run({ given }, ui) {
    const { out } = given;
    if (out === undefined) throw usage("--out is missing", "for example tock web --out tock.html");
    const page = readPage();
    const sha256 = createHash("sha256").update(page).digest("hex");
    if (out === "-") {
      process.stdout.write(page);
      return EXIT.ok;
    }
    try {
      writeFileSync(out, page);
    } catch (error) {
      const hint = "name a place that is there and that you may write to, or - for standard output";
      throw ioError(`--out: cannot write ${out}`, error, hint);
    }
    ui.line(`${sha256}  ${out}`);
    ui.data({ ok: true, file: out, bytes: Buffer.byteLength(page), sha256 });
    return EXIT.ok;
  },
});
