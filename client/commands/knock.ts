import { Socket } from "node:net";
import type { Address } from "../../shared/address.ts";
import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { ask } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { FAMILY, mannerOf } from "../options.ts";
import { isDone } from "../report.ts";
import type { Target } from "../send-spa.ts";
import { DEFAULT_SPACING_MS, sendKnock, TRANSPORTS } from "../send-knock.ts";
import { sequenceAt } from "../sequence.ts";
import { portsOf, tcpPort } from "../service-port.ts";
import { Session } from "../session.ts";
import { connectWithRetry } from "../tcp.ts";
import { UNLOCK } from "../unlock.ts";
import { EXIT, type Ui } from "../ui.ts";
import { family, milliseconds, oneOf, wholeNumber } from "../values.ts";

const OPTIONS = {
  transport: { value: "tcp|udp", help: "what to knock with; the profile knows what the server takes" },
  spacing: { value: "milliseconds", help: `pause between the ports (${DEFAULT_SPACING_MS})` },
  wait: { help: "watch the service's TCP port until it takes a connection" },
  timeout: { value: "seconds", help: "how long to watch it (3)" },
  ...FAMILY,
  ...UNLOCK,
} as const satisfies Options;

export const command = defineCommand({
  name: "knock",
  summary: "send the knock sequence of this time step",
  words: ["<profile>"],
  options: OPTIONS,
  notes: [
    `A knock opens for the address that it came from, so it is sent over one family: that of the first address
which can be reached, or -4 or -6. Nothing answers a knock: without --wait the exit code is 3.`,
  ],
  examples: [
    ["tock knock myserver", "knock"],
    ["tock knock myserver --wait && ssh myserver", "knock, and log in as soon as the port is open"],
  ],
  async run({ given, words }, ui) {
    const spacing = wholeNumber("spacing", given.spacing, 0, 5_000) ?? DEFAULT_SPACING_MS;
    const timeout = milliseconds("timeout", given.timeout, 100, 60_000) ?? 3_000;
    const chosen = oneOf("transport", given.transport, TRANSPORTS);
    const only = family(given);
    const session = await Session.open(words[0] ?? "", given);
    const { name, info } = session.profile;
    const targets = await session.targets(only);
    await endRotation(session, targets, ui);
    const sequence = sequenceAt(session, session.clock.now());
    const transport = chosen ?? sequence.transport;

    const { address, reason } = await knockFirst(targets, (target) =>
      sendKnock(target, sequence.ports, transport, spacing),
    );
    if (address === undefined)
      throw new TockError("io", `cannot send to ${name}: ${reason}`, "check the network");
    const facts = { profile: name, address: address.text, transport, ports: sequence.ports };
    const service = info.services.find((candidate) => tcpPort(candidate) !== undefined);
    if (given.wait && service !== undefined) {
      const port = tcpPort(service) ?? 0;
      const socket = await connectWithRetry([{ address, port }], { timeout, isOpen: false });
      if (!(socket instanceof Socket)) {
        const hint = "is this machine's clock right (to 30 s)? has this sequence been used already?";
        throw new TockError(
          "no-reply",
          `knocked at ${address.text}, but tcp/${port} stays shut: ${socket.text}`,
          hint,
        );
      }
      socket.destroy();
      ui.success(`opened ${service.name} (${portsOf(service)}) on ${name}`);
      ui.data({ ok: true, result: "opened", ...facts });
      return EXIT.ok;
    }
    ui.line(`knocked at ${address.text}: ${transport} ${sequence.ports.join(" ")}; not confirmed`);
    ui.data({ ok: true, result: "sent", ...facts });
    return EXIT.unconfirmed;
  },
});

/** Knocks at the first address that this machine can send to: a knock opens for one address of ours, so one is enough. */
async function knockFirst(
  targets: readonly Target[],
  knock: (address: Address) => Promise<string | undefined>,
): Promise<{ readonly address: Address | undefined; readonly reason: string }> {
  let reason = "no address";
  for (const { address } of targets) {
    const failure = await knock(address);
    if (failure === undefined) return { address, reason: "" };
    reason = failure;
  }
  return { address: undefined, reason };
}

/** A sequence comes from the secret that both sides hold, so a rotation that stands open is ended first. */
async function endRotation(session: Session, targets: readonly Target[], ui: Ui): Promise<void> {
  const { next, enrolling } = session.keys;
  if (next === undefined && !enrolling) return;
  const outcome = await ask(session, { type: "ping" }, targets, mannerOf(session, {}));
  if (isDone(outcome)) return;
  ui.warn("a rotation stands open and could not be ended, so this sequence may be that of an old secret");
}
