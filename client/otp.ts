import type { Given, Options } from "./args.ts";
import { ask } from "./ask.ts";
import { askHidden, lineFromDescriptor } from "./prompt.ts";
import type { Delivery, Target } from "./send-spa.ts";
import type { Manner, Outcome, Session } from "./session.ts";
import type { Wish } from "./spa-packet.ts";
import { usage } from "./ui.ts";
import { otpCode, wholeNumber } from "./values.ts";

/** The second factor: where its code comes from. */
export const OTP = {
  otp: { value: "code", help: "second-factor code; asked for on the terminal where it is needed" },
  "otp-fd": { value: "number", help: "read the second-factor code from this descriptor" },
} as const satisfies Options;

/** The code by the options; undefined where neither was given. */
export function givenCode(given: Given<typeof OTP>): number | undefined {
  const fd = wholeNumber("otp-fd", given["otp-fd"], 0, 1023);
  if (fd === undefined) return otpCode("otp", given.otp);
  if (given.otp !== undefined) throw usage("--otp and --otp-fd are given both");
  return otpCode("otp-fd", lineFromDescriptor("otp-fd", fd));
}

/** The code by the options, or from the person at the terminal where the server is known to ask for one. */
export async function secondFactor(session: Session, given: Given<typeof OTP>): Promise<number | undefined> {
  const code = givenCode(given);
  if (code !== undefined || !session.profile.info.secondFactor) return code;
  const typed = await promptForCode(session);
  if (typed !== undefined) return typed;
  throw usage(`${session.profile.name} asks for a second-factor code`, "give it with --otp or --otp-fd");
}

/** Undefined where there is no terminal. */
export async function promptForCode(session: Session): Promise<number | undefined> {
  return otpCode("otp", await askHidden(`second-factor code for ${session.profile.info.server}: `));
}

/**
 * A request that may carry a code. A code works once, so it goes to one address after the other, until one answers; and
 * where the server wants a code that nobody gave, the person at the terminal is asked for it.
 */
export async function askWithCode(
  session: Session,
  wish: Wish,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome> {
  if (wish.otp !== undefined) return askInTurn(session, wish, targets, manner);
  const outcome = await ask(session, wish, targets, manner);
  if (outcome.best?.reply.result !== "second-factor") return outcome;
  const otp = await promptForCode(session);
  return otp === undefined ? outcome : askInTurn(session, { ...wish, otp }, targets, manner);
}

async function askInTurn(
  session: Session,
  wish: Wish,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome> {
  const deliveries: Delivery[] = [];
  for (const target of targets) {
    const outcome = await ask(session, wish, [target], manner);
    deliveries.push(...outcome.deliveries);
    if (outcome.best !== undefined || !manner.replies) return { deliveries, best: outcome.best };
  }
  return { deliveries, best: undefined };
}
