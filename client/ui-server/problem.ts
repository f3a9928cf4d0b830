import type { Outcome, Session } from "../session.ts";

/** What the page tells of a failure, by the codes that it knows (client/web/engine.ts). */
export function problemOf(session: Session, outcome: Outcome): object {
  const { best } = outcome;
  const { port, isStatic } = session.profile.info;
  if (best === undefined) {
    const unsent = outcome.deliveries.find((delivery) => delivery.state === "unsent");
    const isOffline = unsent !== undefined && outcome.deliveries.every(({ state }) => state === "unsent");
    return isOffline ? { code: "other", message: unsent.reason } : { code: "no-answer", port };
  }
  const { result } = best.reply;
  switch (result) {
    case "refused":
    case "second-factor":
    case "expired":
      return { code: result === "expired" && session.keys.enrolling && !isStatic ? "used-link" : result };
    case "rotate-first":
      return { code: result };
    case "firewall-error":
      return { code: "firewall" };
    case "opened":
    case "closed":
    case "rotated":
    case "pong":
      return { code: "other", message: `the server answered "${result}" to a request of another kind` };
  }
}
