import { writeFile } from "node:fs/promises";
import { must } from "./exec.ts";

/** Pixels a module: a phone's camera sees more, zbar asks for two or so. */
const SCALE = 4;
/** Half blocks, light on dark, as a terminal shows them: upper and lower half of each character, 1 = dark. */
const HALVES: Readonly<Record<string, readonly [number, number]>> = {
  "█": [0, 0],
  "▀": [0, 1],
  "▄": [1, 0],
  " ": [1, 1],
};

/** What zbar reads in a QR code that was printed on a terminal. `file` is where the picture is put. */
export async function decodeQr(printed: string, file: string): Promise<string> {
  const lines = printed.split("\n").filter((line) => /^[█▀▄ ]{20,}$/.test(line));
  const rows = lines.flatMap((line) =>
    [0, 1].map((half) =>
      [...line].flatMap((block) => new Array<number>(SCALE).fill(HALVES[block]?.[half] ?? 0)),
    ),
  );
  const tall = rows.flatMap((row) => new Array<string>(SCALE).fill(row.join(" ")));
  await writeFile(file, `P1\n${rows[0]?.length ?? 0} ${tall.length}\n${tall.join("\n")}\n`);
  return (await must(["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file])).trimEnd();
}
