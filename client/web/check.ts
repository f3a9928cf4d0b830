import { type Address, parseAddress } from "../../shared/address.ts";
import { addressDetails, CLOCK_DETAIL, readAddress, secondsAhead } from "../../shared/answer-word.ts";
import { askForAll } from "./pieces.ts";
import { ask } from "./rotation.ts";
import type { Reply, Session } from "./session.ts";

/** What a server tells about itself and about us, when asked by pings. */
export interface Check {
  /** Seconds by which the server's clock is ahead of this device's. */
  readonly ahead: number;
  /** Where the server sees us, one address for each of its own that answered. */
  readonly seen: readonly Address[];
}

/** Milliseconds until a piece of the address is taken for lost. */
const PIECE_MS = 1_500;

/** Asks for the clock, then for each piece of the address; undefined and the reply where the first has no answer. */
export async function check(session: Session): Promise<Check | Reply> {
  const reply = await ask(session, { type: "ping", detail: CLOCK_DETAIL });
  if (reply.kind !== "answered" || reply.result !== "pong") return reply;
  const ahead = secondsAhead(reply.word, Date.now());
  const seen = await Promise.all(session.info.addresses.map((host) => seenFrom(session, host)));
  return { ahead, seen: seen.filter((address) => address !== undefined) };
}

async function seenFrom(session: Session, host: string): Promise<Address | undefined> {
  const literal = parseAddress(host);
  if (!literal.ok) return undefined;
  const { family } = literal.value;
  const words = await askForAll(addressDetails(family), async (detail) => {
    const wish = { type: "ping", detail } as const;
    const reply = await session.sendTo([host], session.keys.current, wish, session.now(), PIECE_MS, true);
    return reply.kind === "answered" && reply.result === "pong" ? reply.word : undefined;
  });
  return words && readAddress(words, family);
}
