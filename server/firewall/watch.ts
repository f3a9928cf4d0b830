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

/** Calls `changed` soon after somebody changed the packet filter, and every few seconds all the same. Returns the stop. */
export function watchRules(changed: () => void, log: Log): () => void {
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
  const poll = setInterval(changed, POLL);
  poll.unref();
  return () => {
    clearInterval(poll);
    clearTimeout(settling);
    if (listener.ok) listener.value();
  };
}
