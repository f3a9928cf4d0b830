import type { Given, Options } from "./args.ts";
import { DEFAULT_TIMEOUT_MS, timingFor } from "./send-spa.ts";
import type { Manner, Session } from "./session.ts";
import { FORMS } from "./spa-packet.ts";
import { UNLOCK } from "./unlock.ts";
import { milliseconds, oneOf } from "./values.ts";

/** Options that several commands share. */
export const FAMILY = {
  ipv4: { short: "4", help: "use IPv4 only" },
  ipv6: { short: "6", help: "use IPv6 only" },
} as const satisfies Options;

export const SENDING = {
  ...FAMILY,
  ...UNLOCK,
  form: { value: "spa|stun", help: "the packet as it is, or as a browser would send it" },
  timeout: { value: "seconds", help: `how long to wait for a reply (${DEFAULT_TIMEOUT_MS / 1000})` },
} as const satisfies Options;

/** How to send, by the options and by what the profile says of its server. */
export function mannerOf(session: Session, given: Given<typeof SENDING>, wantsReply = true): Manner {
  return {
    form: oneOf("form", given.form, FORMS) ?? "spa",
    timing: timingFor(milliseconds("timeout", given.timeout, 100, 60_000) ?? DEFAULT_TIMEOUT_MS),
    replies: wantsReply && session.profile.info.replies,
  };
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
