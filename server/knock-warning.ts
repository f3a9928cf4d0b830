import { userOf } from "../shared/brand.ts";
import type { Settings } from "./config/settings.ts";
import type { Device } from "./core/device.ts";
import { knockOdds, MOST_ODDS, safeLength } from "./core/knock-odds.ts";

/** What to tell the owner when so many devices may knock that one of their sequences could be guessed. */
export function knockWarning(
  { knock, skew }: Pick<Settings, "knock" | "skew">,
  devices: number,
): { readonly devices: number; readonly length: number; readonly hint: string } | undefined {
  const steps = 1 + skew.past + skew.future;
  if (knockOdds(knock, steps, devices) <= MOST_ODDS) return undefined;
  const safe = safeLength(knock, steps, devices);
  const hint =
    safe === undefined
      ? "take a larger range for [knock] ports"
      : `[knock] length = ${safe} will do; devices that knock then need a new link`;
  return { devices, length: knock.length, hint };
}

/** How many devices may knock. */
export function knocking({ users }: Settings, devices: Iterable<Device>): number {
  const names = new Set(users.filter((user) => user.mayKnock).map((user) => user.name));
  let count = 0;
  for (const { id } of devices) if (names.has(userOf(id))) count++;
  return count;
}
