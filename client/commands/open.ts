import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { rotateWhenDue } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { mannerOf, SENDING } from "../options.ts";
import { askWithCode, OTP, secondFactor } from "../otp.ts";
import { printPacket } from "../print-packet.ts";
import {
  clockError,
  failure,
  tellFailure,
  isDone,
  seenFrom,
  targetsJson,
  warnOfClock,
  warnOfSilent,
} from "../report.ts";
import { portsOf, type Service, tcpPort } from "../service-port.ts";
import { type Manner, type Outcome, Session } from "../session.ts";
import type { Target } from "../send-spa.ts";
import type { Wish } from "../spa-packet.ts";
import { connectWithRetry } from "../tcp.ts";
import { EXIT, type Ui, usage } from "../ui.ts";
import { address, duration, family, port, serviceNamed, wholeNumber } from "../values.ts";

const OPTIONS = {
  for: { value: "seconds", help: "how long to keep it open; the server may allow less" },
  allow: { value: "address", help: "let this address in, not the one that the packet comes from" },
  "source-port": { value: "port", help: "let in only connections that come from this port" },
  connections: { value: "number", help: "let in so many connections and no more" },
  wait: { help: "watch the service's TCP port until it takes a connection" },
  "no-reply": { help: "ask for no reply, and do not wait for one" },
  print: { help: "print the packet in hex, and send nothing" },
  ...OTP,
  ...SENDING,
} as const satisfies Options;

export const command = defineCommand({
  name: "open",
  summary: "send the SPA packet that opens a service",
  words: ["<profile>", "[service]"],
  options: OPTIONS,
  notes: [
    `Without [service] it is the profile's first one. Each address of the server gets a packet, over IPv4 and
IPv6, so that whichever the connection takes is open. --wait makes a connection of its own, which counts
where the number of connections is limited.`,
  ],
  examples: [
    ["tock open myserver", "open the first service"],
    ["tock open myserver web --for 5m", "open another one, for five minutes"],
    ["tock open myserver && ssh myserver", "open, then log in"],
    ["tock open myserver --print | xxd -r -p > packet", "send it by other means"],
  ],
  async run({ given, words }, ui) {
    const fields = {
      lifetime: duration("for", given.for, 65_535) ?? 0,
      allow: address("allow", given.allow),
      fromPort: port("source-port", given["source-port"]),
      connections: wholeNumber("connections", given.connections, 1, 255) ?? 0,
    };
    const only = family(given);
    const session = await Session.open(words[0] ?? "", given);
    const service = serviceNamed(session.profile.info, words[1]);
    const manner = mannerOf(session, given, given["no-reply"] === undefined);
    if (given.wait && tcpPort(service) === undefined)
      throw usage(`--wait: service ${service.name} has no TCP port`);
    const wish: Wish = {
      type: "open",
      service: service.name,
      ...fields,
      otp: await secondFactor(session, given),
    };
    if (given.print) return printPacket(session, wish, manner, ui);

    const targets = await session.targets(only);
    const outcome = await askWithCode(session, wish, targets, manner);
    if (given.wait && (outcome.best === undefined || isDone(outcome))) {
      return watch(session, service, outcome, targets, manner, ui);
    }
    if (!isDone(outcome)) return tellUnopened(session, service, outcome, manner, ui);
    tellOpened(session, service, outcome, ui);
    await rotateWhenDue(session, outcome, targets, manner);
    return EXIT.ok;
  },
});

function facts(session: Session, service: Service, outcome: Outcome): object {
  return {
    profile: session.profile.name,
    service: service.name,
    ports: portsOf(service),
    targets: targetsJson(outcome),
  };
}

function tellOpened(session: Session, service: Service, outcome: Outcome, ui: Ui): void {
  const lifetime = outcome.best?.reply.lifetime;
  const error = clockError(outcome);
  const time = lifetime === undefined ? "" : ` for ${lifetime} s`;
  ui.success(
    `opened ${service.name} (${portsOf(service)}) on ${session.profile.name}${time}, to ${seenFrom(outcome)}`,
  );
  ui.data({
    ok: true,
    result: "opened",
    ...facts(session, service, outcome),
    lifetime: lifetime ?? null,
    clockError: error ?? null,
  });
  warnOfSilent(ui, outcome);
  warnOfClock(ui, error);
}

function tellUnopened(session: Session, service: Service, outcome: Outcome, manner: Manner, ui: Ui): number {
  if (manner.replies || outcome.deliveries.every(({ state }) => state === "unsent")) {
    return tellFailure(ui, failure(outcome, session), facts(session, service, outcome));
  }
  ui.line(`sent to ${session.profile.name}, not confirmed`);
  ui.data({ ok: true, result: "sent", ...facts(session, service, outcome) });
  return EXIT.unconfirmed;
}

/** Takes the service's own port for the answer. */
async function watch(
  session: Session,
  service: Service,
  outcome: Outcome,
  targets: readonly Target[],
  manner: Manner,
  ui: Ui,
): Promise<number> {
  const port = tcpPort(service) ?? 0;
  const places = targets.map(({ address }) => ({ address, port }));
  const socket = await connectWithRetry(places, { timeout: manner.timing.timeout });
  if (typeof socket !== "string") {
    const through = socket.remoteAddress ?? "";
    socket.destroy();
    if (isDone(outcome)) tellOpened(session, service, outcome, ui);
    else {
      ui.success(
        `opened ${service.name} (${portsOf(service)}) on ${session.profile.name}: ${through} port ${port} takes connections`,
      );
      ui.data({
        ok: true,
        result: "opened",
        ...facts(session, service, outcome),
        lifetime: null,
        clockError: null,
      });
    }
    return EXIT.ok;
  }
  if (!isDone(outcome)) return tellFailure(ui, failure(outcome, session), facts(session, service, outcome));
  const hint = "is the service running, and does another firewall stand in the way?";
  throw new TockError(
    "io",
    `${service.name} was opened, but tcp/${port} takes no connection: ${socket}`,
    hint,
  );
}
