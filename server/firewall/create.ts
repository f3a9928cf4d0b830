import { ok, type Result } from "../../shared/result.ts";
import type { Firewall } from "../core/firewall.ts";
import type { Log } from "./command.ts";
import { DryRunFirewall } from "./dry-run.ts";
import { IptablesFirewall } from "./iptables.ts";
import type { Variant } from "./iptables-table.ts";
import { NftablesFirewall } from "./nftables.ts";

export interface FirewallOptions {
  /** Which iptables programs, for the backend of that name; see {@link Variant}. */
  readonly variant?: Variant;
  /** Takes a line for the debug level: every privileged command, as `[#] …`. */
  readonly log: Log;
  /** A monotonic clock in ms. */
  readonly now: () => number;
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
