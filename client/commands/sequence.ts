import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { FAMILY, sleep } from "../options.ts";
import { type Sequence, sequenceAt } from "../sequence.ts";
import { FORMATS, type Format } from "../sequence-formats.ts";
import { Session } from "../session.ts";
import { UNLOCK } from "../unlock.ts";
import { EXIT, type Ui, usage } from "../ui.ts";
import { family } from "../values.ts";

const OPTIONS = {
  nmap: { help: "print a line of nmap for each port" },
  nc: { help: "print a line of nc for each port" },
  bash: { help: "print a line of bash alone for each port" },
  powershell: { help: "print a line of PowerShell for each port" },
  knock: { help: "print one line of knock, of the package knockd" },
  watch: { help: "print the next sequence as each step begins, until stopped" },
  ...FAMILY,
  ...UNLOCK,
} as const satisfies Options;

export const command = defineCommand({
  name: "sequence",
  summary: "print the ports of this time step's knock sequence",
  words: ["<profile>"],
  options: OPTIONS,
  examples: [
    ["tock sequence myserver", "the ports, and the seconds that they last"],
    ["tock sequence myserver --nmap | sh", "knock with nmap alone"],
  ],
  async run({ given, words }, ui) {
    const session = await Session.open(words[0] ?? "", given);
    const formats = (Object.keys(FORMATS) as Format[]).filter((format) => given[format]);
    if (formats.length > 1) throw usage(`--${formats.join(" and --")} are given both`, "choose one of them");
    const [format] = formats;
    const { name } = session.profile;
    if (session.keys.next !== undefined || session.keys.enrolling) {
      ui.warn(
        `a rotation stands open, so this sequence may be that of an old secret: tock rotate ${name} ends it`,
      );
    }
    const host = format === undefined ? "" : ((await session.targets(family(given)))[0]?.address.text ?? "");
    for (;;) {
      const sequence = sequenceAt(session, session.clock.now());
      tell(sequence, format, host, name, ui);
      if (!given.watch) return EXIT.ok;
      await sleep(sequence.millisLeft + 1);
    }
  },
});

function tell(sequence: Sequence, format: Format | undefined, host: string, profile: string, ui: Ui): void {
  const seconds = Math.ceil(sequence.millisLeft / 1000);
  const { ports, transport, step } = sequence;
  const lines = format === undefined ? undefined : FORMATS[format](sequence, host);
  ui.data({ ok: true, profile, step, ports, transport, secondsLeft: seconds, ...(lines && { lines }) });
  if (lines !== undefined) for (const line of lines) ui.line(line);
  else ui.line(`${ports.join(" ")}  ${ui.paint("dim", `${transport}, ${seconds} s left`, 1)}`);
}
