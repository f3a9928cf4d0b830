import { ok, type Result } from "../../shared/result.ts";
import type { Firewall } from "../core/firewall.ts";
import type { KnockRules } from "../core/knock-rules.ts";
import type { Protocol } from "../rules/recent.ts";
import type { Log } from "./command.ts";
import { DryRunFirewall, DryRunKnocks } from "./dry-run.ts";
import { IptablesFirewall } from "./iptables.ts";
import type { Variant } from "./iptables-table.ts";
import { NftKnocks } from "./nft-knocks.ts";
import { NftablesFirewall } from "./nftables.ts";
import { RecentFirewall } from "./recent.ts";

export interface FirewallOptions {
  /** Which iptables programs, for the backend of that name; see {@link Variant}. */
  readonly variant?: Variant;
  /** Takes a line for the debug level: every privileged command, as `[#] …`. */
  readonly log: Log;
  /** A monotonic clock in ms. */
  readonly now: () => number;
}

/** A firewall whose kernel follows knocks, and the rules by which it does. */
export interface KernelFirewall {
  readonly firewall: Firewall;
  readonly rules: KnockRules;
}

/** Opens a backend by its name in the configuration. Changes nothing yet; without CAP_NET_ADMIN the first change is what fails. */
export function createFirewall(name: Firewall["name"], options: FirewallOptions): Result<Firewall> {
  switch (name) {
    case "iptables":
      return IptablesFirewall.open(options);
    case "nftables":
      return NftablesFirewall.open(options);
    case "dry-run":
      return ok(new DryRunFirewall(options));
  }
}

/** The same for the kernel engine; `protocols` are those that knock. */
export function createKernelFirewall(
  name: Firewall["name"],
  protocols: readonly Protocol[],
  options: FirewallOptions,
): Result<KernelFirewall> {
  switch (name) {
    case "iptables": {
      const opened = RecentFirewall.open(options, protocols);
      return opened.ok ? ok({ firewall: opened.value, rules: opened.value }) : opened;
    }
    case "nftables": {
      const opened = NftablesFirewall.open(options);
      return opened.ok ? ok({ firewall: opened.value, rules: new NftKnocks(opened.value) }) : opened;
    }
    case "dry-run":
      return ok({ firewall: new DryRunFirewall(options), rules: new DryRunKnocks(options.log) });
  }
}
