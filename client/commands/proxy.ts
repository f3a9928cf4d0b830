import { parsePort } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { rotateWhenDue } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { connectThrough } from "../connect-through.ts";
import { mannerOf, SENDING } from "../options.ts";
import { OTP, secondFactor } from "../otp.ts";
import { joinStreams, standardOutput } from "../pipe.ts";
import { serviceAt } from "../service-port.ts";
import { Session } from "../session.ts";
import { EXIT, usage } from "../ui.ts";
import { family } from "../values.ts";

const OPTIONS = {
  "any-port": { help: "open for every source port, not only for that of the connection" },
  ...OTP,
  ...SENDING,
} as const satisfies Options;

export const command = defineCommand({
  name: "proxy",
  summary: "open, connect, and join standard input and output: ssh's ProxyCommand",
  words: ["<profile>", "<host>", "<port>"],
  options: OPTIONS,
  notes: [
    `<host> and <port> are what ssh would connect to. A host that is the profile's own (its name or one of its
addresses) is reached by the address that opened. Standard output carries the connection and nothing else.`,
  ],
  examples: [
    ["ssh -o ProxyCommand='tock proxy myserver %h %p' 192.0.2.1", "what tock ssh and tock ssh-config set up"],
  ],
  async run({ given, words }, ui) {
    const [name = "", host = "", portText = ""] = words;
    const port = parsePort(portText);
    if (!port.ok) throw usage(`<port>: ${port.error.message.replace("port: ", "")}`);
    const only = family(given);
    const session = await Session.open(name, given);
    const { info } = session.profile;
    const service = serviceAt(info, port.value);
    if (service === undefined) {
      throw new TockError(
        "not-found",
        `profile ${name} has no service with tcp/${port.value}`,
        "tock list shows them",
      );
    }
    const manner = mannerOf(session, given);
    const targets = await session.targets(only);
    const plan = { session, service, targets, manner, otp: await secondFactor(session, given) };
    const isOwn =
      host === name || info.addresses.includes(host) || targets.some(({ address }) => address.text === host);
    const elsewhere = isOwn ? undefined : host;
    const isBound = given["any-port"] === undefined && manner.replies && manner.form === "spa";
    const { socket, outcome } = await connectThrough(plan, { elsewhere, port: port.value }, isBound, ui);
    // It works with S or S' at any moment, so it need not hold up the connection, and may be cut off with it.
    const rotating = outcome && rotateWhenDue(session, outcome, targets, manner);
    const error = await joinStreams(socket, process.stdin, standardOutput());
    await rotating;
    if (error !== undefined) throw new TockError("io", `the connection broke: ${error.message}`);
    return EXIT.ok;
  },
});
