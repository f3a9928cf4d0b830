import { createInterface } from "node:readline";
import { AfPacketSource, type CaptureOptions } from "../../server/capture/af-packet.ts";
import { type CapturePlan, destinationOf, payloadOf, sourceOf } from "../../server/core/frame.ts";
import type { FrameView } from "../../server/core/packet-source.ts";
import type { Ask, Sniffed } from "./sniffer.ts";

/** The sniffer's process: a capture source whose frames become lines of JSON. See sniffer.ts. */

const [plan, options] = process.argv.slice(2).map((text) => JSON.parse(text) as unknown);
const opened = AfPacketSource.open(plan as CapturePlan, print, options as CaptureOptions);
if (!opened.ok) {
  process.stderr.write(`${opened.error.message}\n${opened.error.hint}\n`);
  process.exit(1);
}
const source = opened.value;

function print(frame: FrameView): void {
  const { kind, family, protocol, tcpFlags, sourcePort, destinationPort, interfaceIndex, arrivedAt } = frame;
  const addresses = {
    source: sourceOf(frame).text,
    destination: destinationOf(frame).text,
  };
  const payload = Buffer.from(payloadOf(frame)).toString("hex");
  const sniffed: Sniffed = {
    ...{ kind, family, protocol, tcpFlags, ...addresses, sourcePort, destinationPort, interfaceIndex },
    ...{ arrivedAt, payload },
  };
  process.stdout.write(`frame ${JSON.stringify(sniffed)}\n`);
}

function answer(ask: Ask): unknown {
  if (ask.op === "stats") return { filter: source.filter, ...source.stats() };
  if (ask.op === "close") return source.close();
  return source.tags[ask.op](Buffer.from(ask.tags, "hex"));
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const ask = JSON.parse(line) as Ask & { id: number };
    process.stdout.write(`answer ${ask.id} ${JSON.stringify(answer(ask) ?? null)}\n`);
  })
  .once("close", () => process.exit(0));
process.stdout.write("ready\n");
