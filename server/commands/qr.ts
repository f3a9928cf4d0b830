import { encode, renderUnicodeCompact } from "uqr";
import { TockError } from "../../shared/errors.ts";
import type { Ui } from "../ui.ts";

/** Modules around the code, as ISO/IEC 18004 wants them. */
const BORDER = 4;
/** What version 40 holds at level L. */
const MOST_BYTES = 2953;

/**
 * A QR code of half blocks, dark on light on every terminal that has colours. A terminal that is too narrow would break its
 * lines: there it is left out, and it is said what makes another one. Gives whether it was printed.
 */
export function printQr(text: string, again: string, ui: Ui): boolean {
  if (text.length > MOST_BYTES) {
    throw new TockError(
      "invalid",
      `QR code: expected at most ${MOST_BYTES} characters, got ${text.length}`,
      "use --link",
    );
  }
  const options = { ecc: "L", border: BORDER } as const;
  const { size } = encode(text, options);
  // 0: a terminal that does not tell.
  const columns = ui.columns === undefined || ui.columns === 0 ? Infinity : ui.columns;
  if (columns < size) {
    ui.note(`tock: warning: no QR code: it is ${size} columns wide, the terminal ${columns}\n`);
    ui.note(
      `tock: hint: use the text below; or make the window wider, or its letters smaller, and then: ${again}\n`,
    );
    return false;
  }
  const lines = renderUnicodeCompact(text, options).split("\n");
  ui.out(`${lines.map((line) => (ui.colour ? `\x1b[97;40m${line}\x1b[0m` : line)).join("\n")}\n`);
  return true;
}
