import type { Result } from "../shared/result.ts";
import type { Settings } from "./config/settings.ts";
import type { Firewall } from "./core/firewall.ts";
import type { KnockRules } from "./core/knock-rules.ts";
import { createFirewall, createKernelFirewall, type FirewallOptions } from "./firewall/create.ts";
import { protocolsOf } from "./plans.ts";

/** A firewall, and the rules by which its kernel follows knocks where the settings want it to. */
export interface Firewalls {
  readonly firewall: Firewall;
  readonly rules?: KnockRules;
}

/** The firewall that the settings ask for. Changes nothing yet. */
export function openFirewall(settings: Settings, options: FirewallOptions): Result<Firewalls> {
  const { backend } = settings.firewall;
  if (settings.server.engine === "kernel")
    return createKernelFirewall(backend, protocolsOf(settings), options);
  const firewall = createFirewall(backend, options);
  return firewall.ok ? { ok: true, value: { firewall: firewall.value } } : firewall;
}
