import { networkInterfaces } from "node:os";
import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { ask } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { mannerOf, SENDING } from "../options.ts";
import { clockError } from "../report.ts";
import type { Answered, Target } from "../send-spa.ts";
import { type Outcome, Session } from "../session.ts";
import { EXIT, type Ui } from "../ui.ts";
import { family } from "../values.ts";

const OPTIONS = { ...SENDING } as const satisfies Options;

/** What a look at one thing found. */
interface Finding {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  readonly message: string;
  readonly hint?: string;
}

/** A clock that is off by more may be refused by the default window. */
const CLOCK_LIMIT = 25;
const CLOCK_MATTERS = 5;

export const command = defineCommand({
  name: "doctor",
  summary: "find out why a server cannot be reached or opened, and say what to do",
  words: ["<profile>"],
  options: OPTIONS,
  notes: [
    "It resolves the server's names, asks each address for a reply in both forms, and compares clocks and addresses. Nothing is opened.",
  ],
  examples: [["tock doctor myserver", "what is wrong?"]],
  async run({ given, words }, ui) {
    const session = await Session.open(words[0] ?? "", given);
    const findings: Finding[] = [ok("profile", `${session.profile.name} is readable, by you alone`)];
    const targets = await resolved(session, findings, family(given));
    if (targets.length > 0) {
      if (session.profile.info.replies) await examine(session, targets, findings, mannerOf(session, given));
      else
        findings.push(
          warn(
            "reply",
            "the server never answers, so nothing more can be told",
            `tock open ${session.profile.name} --wait`,
          ),
        );
    }
    for (const finding of findings) tell(ui, finding);
    const isWell = findings.every(({ state }) => state !== "fail");
    ui.data({ ok: isWell, profile: session.profile.name, findings });
    return isWell ? EXIT.ok : EXIT.failed;
  },
});

async function resolved(
  session: Session,
  findings: Finding[],
  only: ReturnType<typeof family>,
): Promise<Target[]> {
  try {
    const targets = await session.targets(only);
    findings.push(ok("address", targets.map(({ address }) => address.text).join(", ")));
    return targets;
  } catch (error) {
    if (!(error instanceof TockError)) throw error;
    findings.push(fail("address", error.message, error.hint ?? "is this machine online? is the name right?"));
    return [];
  }
}

async function examine(
  session: Session,
  targets: readonly Target[],
  findings: Finding[],
  manner: ReturnType<typeof mannerOf>,
): Promise<void> {
  const outcome = await ask(session, { type: "ping" }, targets, {
    ...manner,
    form: "spa",
    replies: true,
  });
  const silent = outcome.deliveries.filter(({ state }) => state !== "answered").map(({ target }) => target);
  const other =
    silent.length === 0
      ? undefined
      : await session.send(session.keys.current, { type: "ping" }, silent, {
          ...manner,
          form: "stun",
          replies: true,
        });
  for (const delivery of outcome.deliveries) findings.push(reached(delivery, outcome, other));
  const best = outcome.best ?? other?.best;
  if (best === undefined) {
    findings.push(
      fail(
        "clock",
        "not known, as nothing answered; a clock that is off by more than 30 s looks just like this",
        "compare this machine's time with another's: date -u",
      ),
    );
    return;
  }
  findings.push(
    clockFinding(clockError(outcome.best === undefined && other !== undefined ? other : outcome)),
  );
  for (const answered of [...outcome.deliveries, ...(other?.deliveries ?? [])]) {
    if (answered.state === "answered") findings.push(...natFindings(answered));
  }
  const { result } = best.reply;
  if (result !== "pong") {
    const hint =
      result === "rotate-first"
        ? `tock rotate ${session.profile.name}`
        : "ask its administrator for a new link";
    findings.push(fail("device", `the server knows this device, and says: ${result}`, hint));
  } else findings.push(ok("device", "the server knows it, and its secret is in force"));
}

function reached(
  delivery: Outcome["deliveries"][number],
  outcome: Outcome,
  other: Outcome | undefined,
): Finding {
  const { address, port } = delivery.target;
  const name = `udp IPv${address.family}`;
  if (delivery.state === "answered")
    return ok(name, `${address.text} answered in ${delivery.roundTrip.toFixed(1)} ms`);
  if (delivery.state === "unsent") {
    return warn(
      name,
      `not sent to ${address.text}: ${delivery.reason}`,
      `this network may have no IPv${address.family}, or this machine's own firewall forbids it`,
    );
  }
  const stun = other?.deliveries.find(({ target }) => target.address.equals(address));
  if (stun?.state === "answered") {
    return warn(
      name,
      `${address.text} answers STUN alone: something on the way drops other UDP`,
      "add --form stun to tock open",
    );
  }
  const hint = `does a firewall on the way, or in front of the server, drop udp/${port}? try another network; on the server: tockd doctor`;
  const finding = outcome.best === undefined && other?.best === undefined ? fail : warn;
  return finding(name, `${address.text} does not answer, in either form`, hint);
}

function clockFinding(error: number | undefined): Finding {
  if (error === undefined) return warn("clock", "the server did not tell its time", "try again");
  const size = Math.abs(error);
  const message =
    size < 0.1 ? "agrees with the server's" : `${size} s ${error > 0 ? "behind" : "ahead of"} the server's`;
  const hint = "set this machine's clock by the network (NTP); past 30 s nothing opens any more";
  if (size > CLOCK_LIMIT) return fail("clock", message, hint);
  return size > CLOCK_MATTERS ? warn("clock", message, hint) : ok("clock", message);
}

/** What a NAT between here and there changes. */
function natFindings({ local, reply, target }: Answered): Finding[] {
  const name = `nat IPv${target.address.family}`;
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((each) => each.address)),
  );
  if (own.has(reply.source.text))
    return [ok(name, `none: the server sees ${reply.source.text}, which is this machine's`)];
  const isPortKept = reply.sourcePort === undefined || reply.sourcePort === local.port;
  const message = `the server sees ${reply.source.text}${isPortKept ? "" : `, and another source port`}`;
  const hint = `everybody behind that address is let in while a grant lasts: limit it with connections = 1${isPortKept ? " or bind = source-port" : "; bind = source-port does not work here"}`;
  return [{ name, state: "ok", message, hint }];
}

function tell(ui: Ui, { name, state, message, hint }: Finding): void {
  const colour = { ok: "green", warn: "yellow", fail: "red" } as const;
  const sign = ui.paint(colour[state], { ok: "ok  ", warn: "warn", fail: "FAIL" }[state], 1);
  ui.line(`${sign}  ${name.padEnd(10)}${message}`);
  if (hint !== undefined) ui.line(`${" ".repeat(16)}${hint}`);
}

function ok(name: string, message: string): Finding {
  return { name, state: "ok", message };
}

function warn(name: string, message: string, hint: string): Finding {
  return { name, state: "warn", message, hint };
}

function fail(name: string, message: string, hint: string): Finding {
  return { name, state: "fail", message, hint };
}
