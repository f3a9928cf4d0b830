import { parseAddress } from "../../shared/address.ts";
import type { ServerInfo } from "../../shared/enrolment.ts";
import type { ReplyResult } from "../../shared/reply.ts";
import { searchClock } from "./clock-search.ts";
import type { Problem } from "./engine.ts";
import type { Reply, Session } from "./session.ts";

/** Finds out why a request did not do what it should. May take a few seconds, and sends pings where there was silence. */
export async function problemOf(reply: Reply, session: Session): Promise<Problem> {
  if (reply.kind === "answered") return refusal(reply.result, session.profile.enrolling);
  if (reply.kind === "untaken") return untaken(session.info);
  if (!navigator.onLine) return { code: "offline" };
  const ahead = await searchClock(session);
  return ahead === undefined ? { code: "no-answer", port: session.info.port } : { code: "clock", ahead };
}

function refusal(result: ReplyResult, enrolling: boolean): Problem {
  switch (result) {
    case "expired":
      // What a daemon says to a secret that has been replaced.
      return { code: enrolling ? "used-link" : result };
    case "refused":
    case "second-factor":
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

function untaken(info: ServerInfo): Problem {
  const names = info.addresses.every((host) => !parseAddress(host).ok);
  return { code: "untaken", names, port: info.port };
}
