import type { EventQuery, Stream } from "./admin/methods.ts";
import { readTrail } from "./store/audit-read.ts";
import type { AuditTrail } from "./store/audit-trail.ts";
import type { AuditRecord } from "./audit.ts";

type Listen = (listener: (event: unknown, record: AuditRecord) => void) => () => void;

/** Events that are counted elsewhere and would fill the trail. */
export const UNKEPT: ReadonlySet<string> = new Set(["drops"]);

/** Events that wait while a follower gets the trail. One that reads so slowly is let go: it can ask anew. */
export const MOST_EARLY = 10_000;

/** Whether an event is asked for. */
export function isAsked(
  { user, since }: Omit<EventQuery, "follow">,
  line: Readonly<Record<string, unknown>>,
): boolean {
  if (user !== undefined && line["user"] !== user) return false;
  return since === undefined || Date.parse(String(line["at"])) >= since;
}

/**
 * Sends the trail's lines that are asked for, then what comes, until the caller has gone. Nothing is missed between. A
 * follower that reads too slowly for it is let go.
 */
export async function sendEvents(
  folder: string,
  trail: AuditTrail,
  listen: Listen,
  query: EventQuery,
  stream: Stream,
): Promise<void> {
  const early: Record<string, unknown>[] = [];
  let isLive = false;
  const stop = query.follow
    ? listen((_, record) => {
        if (UNKEPT.has(record.kind)) return;
        const line = JSON.parse(JSON.stringify({ at: new Date(), ...record })) as Record<string, unknown>;
        if (!isAsked(query, line)) return;
        if (isLive) stream.send({ event: line });
        else if (early.push(line) > MOST_EARLY) {
          early.length = 0;
          stream.leave();
        }
      })
    : () => undefined;
  try {
    do await trail.flush();
    while (trail.state.waiting > 0 && trail.state.trouble === undefined);
    const upTo = trail.state.seq;
    // What came since is in `early` already.
    early.length = 0;
    for await (const line of readTrail(folder)) {
      if (line.seq > upTo || stream.gone()) break;
      if (!isAsked(query, line)) continue;
      stream.send({ event: line });
      await stream.drained();
    }
    for (let line = early.shift(); line !== undefined && !stream.gone(); line = early.shift()) {
      stream.send({ event: line });
      await stream.drained();
    }
    isLive = true;
    if (query.follow) await stream.closed;
  } finally {
    stop();
  }
}
