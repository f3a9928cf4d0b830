import { parseSettings } from "../../server/config/parse.ts";
import type { Device } from "../../server/core/device.ts";
import { ReplayWindow } from "../../server/core/replay-window.ts";
import { SpentSteps } from "../../server/core/spent-steps.ts";
import { openFirewall } from "../../server/firewalls.ts";
import { KernelEngine } from "../../server/kernel/engine.ts";
import { guardPlanOf, policyOf } from "../../server/plans.ts";
import { type DeviceId, unixMillis } from "../../shared/brand.ts";
import { STEP_MILLIS } from "../../shared/constants.ts";
import { ok, unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import { sleep } from "./wait.ts";

/**
 * The kernel engine with a clock of its own: each time step lasts as long as the machine needs to change the rules and a
 * moment more. Arguments: the backend, the first step, the number of steps. Prints `step N` as each begins.
 */

const [backend = "", first = "", count = ""] = process.argv.slice(2);
const PAUSE = 60;

const text = `[server]
name = "lab"
addresses = ["192.0.2.1"]
engine = "kernel"
[clock]
past = 2
future = 1
[firewall]
backend = "${backend}"
[services.ssh]
ports = ["tcp/22"]
ttl = "1m"
[users.alice]
services = ["ssh"]
knock = true
`;
const parsed = parseSettings(text, "lab");
if (!parsed.ok) throw new Error(parsed.error.map(({ message }) => message).join("; "));
const settings = parsed.value;

const device: Device = {
  id: "alice/lab" as DeviceId,
  enabled: true,
  current: { secret: new Secret(new Uint8Array(32).fill(7)), since: unixMillis(0) },
  next: undefined,
  retired: [],
  enrolling: false,
  currentUntil: undefined,
  nextFromLink: false,
  isStatic: true,
  services: undefined,
  expiresAt: undefined,
};

let step = Number(first);
const { firewall, rules } = unwrap(
  openFirewall(settings, { log: () => undefined, now: () => performance.now() }),
);
if (rules === undefined) throw new Error("no rules");
unwrap(firewall.guardOn(guardPlanOf(settings)));
const realNow = Date.now();
const bounds = { from: unixMillis(realNow - 60_000), until: unixMillis(realNow + 3_600_000) };
const engine = new KernelEngine({
  now: () => unixMillis(step * STEP_MILLIS + 1),
  skew: settings.skew,
  lead: 0,
  maker: () => ({
    serverId: new Uint8Array(16),
    shape: settings.knock,
    policy: policyOf(settings),
    devices: [device],
    boundsOf: () => bounds,
  }),
  devices: () => device,
  rules,
  firewall,
  replays: new ReplayWindow(new SpentSteps()),
  journal: () => ok(undefined),
  granted: ({ source }) => process.stdout.write(`granted ${source.text}\n`),
  emit: (event) => {
    if (event.kind !== "granted") process.stdout.write(`${JSON.stringify(event)}\n`);
  },
  leftOut: ({ rule }) => process.stdout.write(`left out: ${rule}\n`),
});
unwrap(engine.begin());
process.stdout.write(`step ${step}\n`);
for (let index = 0; index < Number(count); index++) {
  await sleep(PAUSE);
  step++;
  engine.tick();
  process.stdout.write(`step ${step}\n`);
}
await sleep(500);
engine.tick();
process.stdout.write("done\n");
firewall.dispose();
