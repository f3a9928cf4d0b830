import { type Enrolment, decodeEnrolment } from "../shared/enrolment.ts";
import { unwrap } from "../shared/result.ts";
import { askHidden } from "./prompt.ts";
import { type Ui, usage } from "./ui.ts";

/** More than any link: reading on would only wait for the end of something else. */
const MOST_CHARACTERS = 16_384;

/** The enrolment behind a link, or behind `-` from standard input (a terminal is asked, and does not show it). */
export async function readEnrolment(word: string, ui: Ui): Promise<Enrolment> {
  if (word !== "-") {
    ui.hint(
      "a link given as an argument can be seen in the process list: tock enroll - reads it from standard input",
    );
    return unwrap(decodeEnrolment(word));
  }
  const text = process.stdin.isTTY ? await askHidden("enrolment link: ") : await standardInput();
  if (text === undefined || text.trim() === "")
    throw usage("expected an enrolment link on standard input, got nothing");
  return unwrap(decodeEnrolment(text));
}

async function standardInput(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > MOST_CHARACTERS) break;
  }
  return text;
}
