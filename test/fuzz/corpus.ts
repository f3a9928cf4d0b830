import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Inputs that once showed a defect, in hex, one file each: `corpus/TARGET/NAME.hex`. They are run with the unit tests. */
const FOLDER = fileURLToPath(new URL("corpus", import.meta.url));

/** What is kept for a target. */
export function kept(target: string): { readonly name: string; readonly input: Uint8Array }[] {
  const folder = join(FOLDER, target);
  let names: string[] = [];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(".hex"));
  } catch {
    // None yet.
  }
  return names.sort().map((name) => {
    const text = readFileSync(join(folder, name), "utf8").replace(/#.*$/gm, "");
    return { name, input: Uint8Array.from(Buffer.from(text.replace(/\s+/g, ""), "hex")) };
  });
}

/** Keeps an input that shows a defect; gives its file. */
export function keep(target: string, input: Uint8Array, why: string): string {
  const folder = join(FOLDER, target);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${createHash("sha256").update(input).digest("hex").slice(0, 12)}.hex`);
  const note = why.split("\n", 1)[0]?.slice(0, 200) ?? "";
  writeFileSync(file, `# ${note}\n${Buffer.from(input).toString("hex")}\n`);
  return file;
}
