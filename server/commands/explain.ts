import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { parseAddress } from "../../shared/address.ts";
import { quote, type UnixMillis, unixMillis } from "../../shared/brand.ts";
import { fromHex } from "../../shared/bytes.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { openPcap } from "../capture/pcap.ts";
import { parseInstant } from "../config/instant.ts";
import { type Explanation, Explainer } from "../explain.ts";
import { capturePlanOf } from "../plans.ts";
import { viewJournal } from "../store/journal-view.ts";
import { journalFile } from "../store/state-folder.ts";
import { json } from "../ui.ts";
import { type Context, settingsOf, withStore } from "./context.ts";

interface ExplainFlags {
  readonly from?: string;
  readonly at?: string;
  readonly json?: boolean;
}

/** `tockd explain`: what the daemon would do with a packet, and why, by the store and the journal as they are. */
export function addExplain(program: Command, context: Context): void {
  const { ui } = context;
  program
    .command("explain")
    .description("say what the daemon would do with a packet, and why; changes nothing")
    .argument("<hex | pcap file>", "a datagram's payload in hex, or a capture file")
    .option("--from <address>", "where the hex packet comes from (default: 192.0.2.1, an example's address)")
    .option("--at <time>", "when it comes (default: now; packets of a file: when they were captured)")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
A packet that opened something already is told as used: give --at, and know that the journal forgets after a few minutes.

Examples:
  tock open myserver --print | tockd explain -
  tcpdump -w knock.pcap udp port 62201     and then: tockd explain knock.pcap
`,
    )
    .action(async (what: string, flags: ExplainFlags, command: Command) => {
      const settings = settingsOf(command);
      const from = unwrap(parseAddress(flags.from ?? "192.0.2.1"));
      const at = flags.at === undefined ? undefined : timeFlag(flags.at);
      const { devices, serverId } = await withStore(settings, (store) => ({
        devices: unwrap(store.loadAll()).devices,
        serverId: store.identity.id,
      }));
      const replays = viewJournal(journalFile(settings.server.state));
      const explainer = new Explainer({ settings, serverId, devices, replays });
      const found: Explanation[] = [];
      const payload = payloadOf(what === "-" ? readFileSync(0, "utf8") : what);
      if (payload !== undefined) {
        const frame = { bytes: payload, payloadAt: 0, payloadLength: payload.length };
        found.push(explainer.packet(frame, from, at ?? context.now()));
      } else {
        const file = readCapture(what);
        unwrap(
          openPcap(file, capturePlanOf(settings), (frame) =>
            found.push(explainer.frame(frame, at ?? unixMillis(Math.floor(frame.arrivedAt)))),
          ),
        );
      }
      if (flags.json === true) return ui.out(json(found));
      if (found.length === 0)
        return ui.note("no packet in it is for Tock: other ports, other sizes, or broken\n");
      for (const each of found) ui.out(textOf(each));
    });
}

function textOf({ verdict, why, from, at, device, form }: Explanation): string {
  const who = device === undefined ? "" : ` ${device}`;
  return `${at} ${from}${form === undefined ? "" : ` ${form}`}${who}: ${verdict}: ${why}\n`;
}

/** Undefined where the words are no hex: then they name a file. */
function payloadOf(text: string): Uint8Array | undefined {
  const digits = text.replace(/^0x/, "").replace(/[\s:]+/g, "");
  return digits.length >= 2 && /^[0-9a-fA-F]+$/.test(digits) ? fromHex(digits.toLowerCase()) : undefined;
}

function readCapture(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const hint = "give a datagram's payload in hex, or the path of a pcap file";
    throw new TockError(
      "not-found",
      `explain: expected hex or a capture file, got ${quote(file)} (${code})`,
      hint,
    );
  }
}

function timeFlag(text: string): UnixMillis {
  const moment = parseInstant(text);
  if (moment !== undefined) return moment;
  throw new TockError(
    "usage",
    `--at: expected a date and time, got ${quote(text)}`,
    "for example 2026-11-22T12:00:00Z",
  );
}
