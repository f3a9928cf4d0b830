import { listen } from "../sys/netlink.ts";
import type { Log } from "./command.ts";
import { GRANT_EVENTS } from "./nft-message.ts";

/** NFNLGRP_NFTABLES in linux/netfilter/nfnetlink.h: every change to nf_tables, those of iptables-nft among them. */
const GROUP = 7;
/** A ruleset is loaded by many messages: the first is not yet the whole change. */
const SETTLE = 20;
/** Another program that changes rules all the time is not looked after all the time. */
const LEAST_BETWEEN = 250;
/** iptables-legacy tells nobody. */
const POLL = 5_000;
/** After so many polls in which nothing had changed it is looked all the same. */
const QUIET_POLLS = 12;

/**
 * Calls `changed` soon after somebody changed the packet filter, and every few seconds all the same: to look is to run a
 * program, or to read all rules. Where `generation` gives the same number again nothing has changed, and a look a minute will do.
 * Returns the stop.
 */
export function watchRules(
  changed: () => void,
  log: Log,
  generation: () => number | undefined = () => undefined,
): () => void {
  let settling: NodeJS.Timeout | undefined;
  let last = Number.NEGATIVE_INFINITY;
  const heard = (types: readonly number[] | undefined): void => {
    if (types?.every((type) => GRANT_EVENTS.includes(type)) === true) return;
    const soon = Math.max(SETTLE, last + LEAST_BETWEEN - performance.now());
    settling ??= setTimeout(() => {
      settling = undefined;
      changed();
      last = performance.now();
    }, soon);
    settling.unref();
  };
  const listener = listen(GROUP, heard);
  if (!listener.ok)
    log(
      `no events of nf_tables (error ${listener.error.code}): the guard is looked at every ${POLL / 1000} s`,
    );
  let seen: number | undefined;
  let quiet = 0;
  const poll = setInterval(() => {
    const now = generation();
    quiet = now !== undefined && now === seen ? quiet + 1 : 0;
    if (quiet % QUIET_POLLS !== 0) return;
    seen = now;
    changed();
  }, POLL);
  poll.unref();
  return () => {
    clearInterval(poll);
    clearTimeout(settling);
    if (listener.ok) listener.value();
  };
}
