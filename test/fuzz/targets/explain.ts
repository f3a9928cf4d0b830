import { openPcap } from "../../../server/capture/pcap.ts";
import { parseSettings } from "../../../server/config/parse.ts";
import { ReplayWindow } from "../../../server/core/replay-window.ts";
import { SpentSteps } from "../../../server/core/spent-steps.ts";
import { type Explanation, Explainer } from "../../../server/explain.ts";
import { capturePlanOf } from "../../../server/plans.ts";
import { unixMillis } from "../../../shared/brand.ts";
import { ascii } from "../../../shared/bytes.ts";
import { makeDevice, SERVER_ID } from "../../support/core.ts";
import type { Target } from "../loop.ts";
import { frames, pcapOf } from "./frames.ts";

/** A capture file through all that `tockd explain` does with it: the daemon's own steps, at the times of the file. */

const parsed = parseSettings(
  '[server]\nname = "home"\naddresses = ["192.0.2.1"]\n[services.ssh]\nports = ["tcp/22"]\n[users.alice]\nservices = ["ssh"]\nknock = true\n',
  "tockd.toml",
);
if (!parsed.ok) throw new Error(parsed.error[0]?.message);
const settings = parsed.value;
const devices = [makeDevice()];
const plan = capturePlanOf(settings);

/** The one authentic packet is taken once, however often it comes and in whatever form; nothing else is. */
function explainTarget(input: Uint8Array): void {
  const replays = new ReplayWindow<never>(new SpentSteps());
  const explainer = new Explainer({ settings, serverId: SERVER_ID, devices, replays });
  const told: Explanation[] = [];
  const source = openPcap(input, plan, (frame) => {
    told.push(explainer.frame(frame, unixMillis(Math.floor(frame.arrivedAt))));
  });
  if (source.ok) source.value.close();
  const taken = told.filter(({ verdict }) => verdict !== "dropped" && verdict !== "ignored");
  if (taken.length > 1) throw new Error(`taken ${taken.length} times: ${JSON.stringify(taken)}`);
  for (const { device, why, from } of told) {
    if (device !== undefined && device !== "alice/phone") throw new Error("a device that is not there");
    if (/[\p{C}]/u.test(why + from)) throw new Error("speaks to the terminal");
  }
}

export const EXPLAIN_TARGETS: readonly Target[] = [
  {
    name: "explain",
    seeds: [pcapOf(101, ...frames), pcapOf(101, frames[0]!, frames[2]!, frames[0]!)],
    words: [frames[0]!, frames[2]!, frames[6]!, ascii("\xd4\xc3\xb2\xa1")],
    run: explainTarget,
  },
];
