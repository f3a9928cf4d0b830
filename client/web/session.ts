import { parseAddress } from "../../shared/address.ts";
import { readAnswerWord } from "../../shared/answer-word.ts";
import { type UnixMillis, unixMillis } from "../../shared/brand.ts";
import { base64 } from "../../shared/bytes.ts";
import { NONCE_BYTES } from "../../shared/constants.ts";
import type { ServerInfo } from "../../shared/enrolment.ts";
import { isSuccess, type ReplyResult } from "../../shared/reply.ts";
import { encodeRequest, type Request } from "../../shared/request.ts";
import { sealPacket } from "../../shared/seal.ts";
import { stepAt } from "../../shared/time-step.ts";
import { stepKeys } from "./device-key.ts";
import { type Delivery, run } from "./ice.ts";
import type { Kept, Profile } from "./profile.ts";
import { random } from "./random.ts";
import type { Store } from "./store.ts";

/** What to ask for; the rest of the request is the same for all. */
export type Wish = Partial<Omit<Request, "type" | "sentAt" | "replyWanted">> & Pick<Request, "type">;

/** What came of a request, over all addresses of the server. */
export type Reply =
  | {
      readonly kind: "answered";
      readonly result: ReplyResult;
      readonly lifetime: number;
      readonly word: number;
      readonly host: string;
    }
  /** It left this device, and this server never answers. */
  | { readonly kind: "sent" }
  | { readonly kind: "silent" }
  /** The browser took none of the addresses. */
  | { readonly kind: "untaken" };

/** The secrets of a profile, ready for use. */
export interface Keys {
  readonly current: CryptoKey;
  readonly next: CryptoKey | undefined;
  /** Puts a new secret into the form that this profile keeps its secrets in. */
  keep(secret: Uint8Array): Promise<{ readonly kept: Kept; readonly key: CryptoKey }>;
}

/** Milliseconds until silence is taken for an answer. */
export const PATIENCE = 3_500;
/** How long a request to a server that never answers is repeated by the browser: a few datagrams, in case one is lost. */
const MUTE_MS = 400;
const GRACE_MS = 150;
const GRACE_AFTER_NO_MS = 600;

/** One profile with its secrets unlocked: the way to talk to its server. */
export class Session {
  readonly store: Store;
  readonly info: ServerInfo;
  profile: Profile;
  keys: Keys;

  constructor(store: Store, profile: Profile, info: ServerInfo, keys: Keys) {
    this.store = store;
    this.profile = profile;
    this.info = info;
    this.keys = keys;
  }

  /** The server's time, as far as this device knows it. */
  now(): UnixMillis {
    return unixMillis(Math.max(0, Date.now() + this.profile.clockAhead));
  }

  /** Changes what is stored, and returns when it is on disk. */
  async change(change: (profile: Profile) => Profile): Promise<void> {
    const after = await this.store.update(this.profile.id, change);
    if (after !== undefined) this.profile = after;
  }

  /** Addresses first; names, which not every browser takes, where no address answers. */
  async send(key: CryptoKey, wish: Wish, timeout = PATIENCE, replies = this.info.replies): Promise<Reply> {
    const isLiteral = (host: string): boolean => parseAddress(host).ok;
    const literals = this.info.addresses.filter(isLiteral);
    const names = this.info.addresses.filter((host) => !isLiteral(host));
    const first = await this.sendTo(
      literals.length > 0 ? literals : names,
      key,
      wish,
      this.now(),
      timeout,
      replies,
    );
    if (literals.length === 0 || names.length === 0 || (first.kind !== "silent" && first.kind !== "untaken"))
      return first;
    const second = await this.sendTo(names, key, wish, this.now(), timeout, replies);
    return second.kind === "untaken" ? first : second;
  }

  /** Sends a request to each host with a nonce of its own, as if it were `now`. */
  async sendTo(
    hosts: readonly string[],
    key: CryptoKey,
    wish: Wish,
    now: UnixMillis,
    timeout: number,
    replies: boolean,
  ): Promise<Reply> {
    // A code works once, so each address gets it only when the one before has not answered.
    if (wish.otp !== undefined && replies && hosts.length > 1) {
      const [first = "", ...others] = hosts;
      const reply = await this.sendTo([first], key, wish, now, timeout, replies);
      if (reply.kind === "answered") return reply;
      return this.sendTo(others, key, wish, this.now(), timeout, replies);
    }
    const keys = await stepKeys(key, this.info.serverId, stepAt(now));
    const request = encodeRequest(makeRequest(wish, now, replies));
    const enough = new AbortController();
    const timers: ReturnType<typeof setTimeout>[] = [];
    const tries = hosts.map(async (host): Promise<Reply> => {
      const ufrag = base64(sealPacket(keys, random(NONCE_BYTES), request));
      const errand = { host, port: this.info.port, ufrag, password: keys.ice };
      const reply = readDelivery(await run(errand, replies ? timeout : MUTE_MS, enough.signal), host, wish);
      if (reply.kind === "answered") {
        const grace = isSuccess(reply.result) ? GRACE_MS : GRACE_AFTER_NO_MS;
        timers.push(setTimeout(() => enough.abort(), grace));
      }
      return reply;
    });
    const all = await Promise.all(tries);
    for (const timer of timers) clearTimeout(timer);
    const best = bestOf(all);
    return best.kind === "silent" && !replies ? { kind: "sent" } : best;
  }
}

function readDelivery(delivery: Delivery, host: string, wish: Wish): Reply {
  if (delivery.kind !== "answered") return delivery;
  const { word } = delivery;
  // What a ping asked for comes in place of its result.
  const isDetail = wish.detail !== undefined && word <= 2 ** 15;
  const answer = isDetail ? ({ result: "pong", lifetime: 0 } as const) : readAnswerWord(word);
  return answer === undefined ? { kind: "silent" } : { kind: "answered", ...answer, word, host };
}

function bestOf(replies: readonly Reply[]): Reply {
  const answered = replies.filter((reply) => reply.kind === "answered");
  return (
    answered.find(({ result }) => isSuccess(result)) ??
    answered[0] ??
    replies.find(({ kind }) => kind === "silent") ?? { kind: "untaken" }
  );
}

function makeRequest(wish: Wish, sentAt: UnixMillis, replyWanted: boolean): Request {
  return {
    otp: undefined,
    allow: undefined,
    fromPort: undefined,
    lifetime: 0,
    connections: 0,
    service: undefined,
    body: undefined,
    ...wish,
    sentAt,
    replyWanted,
  };
}
