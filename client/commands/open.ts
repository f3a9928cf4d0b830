import type { Options } from "../args.ts";
import { rotateWhenDue } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { mannerOf, SENDING } from "../options.ts";
import { askWithCode, OTP, secondFactor } from "../otp.ts";
import { isDone } from "../report.ts";
import { tcpPort } from "../service-port.ts";
import { type Manner, type Outcome, Session } from "../session.ts";
import type { Wish } from "../spa-packet.ts";
import { type Asked, tellOpened, tellUnopened, tellWatched } from "../tell-open.ts";
import { type Ui, usage } from "../ui.ts";
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
    if (given.print) {
      const { printPacket } = await import("../print-packet.ts");
      return printPacket(session, wish, manner, ui);
    }

    const asked = { session, service, targets: await session.targets(only), manner };
    const send = (manner: Manner) => askWithCode(session, wish, asked.targets, manner);
    if (given.wait && !manner.replies) return watchUnheard(asked, send, ui);
    const outcome = await send(manner);
    const isRefused = outcome.best !== undefined && !isDone(outcome);
    const code =
      given.wait && !isRefused
        ? await tellPort(asked, outcome, ui)
        : (isDone(outcome) ? tellOpened : tellUnopened)(asked, outcome, ui);
    await rotateWhenDue(session, outcome, asked.targets, manner);
    return code;
  },
});

/** Watches the port of a service that should be open by now. */
async function tellPort(asked: Asked, outcome: Outcome, ui: Ui): Promise<number> {
  const { watchPort } = await import("../watch-port.ts");
  return tellWatched(asked, outcome, await watchPort(asked, outcome), ui);
}

/** The same where nothing else tells: the packet goes out again and again until the port is open. */
async function watchUnheard(
  asked: Asked,
  send: (manner: Manner) => Promise<Outcome>,
  ui: Ui,
): Promise<number> {
  const { watchWhile } = await import("../watch-port.ts");
  const { outcome, seen } = await watchWhile(asked, send);
  return tellWatched(asked, outcome, seen, ui);
}
