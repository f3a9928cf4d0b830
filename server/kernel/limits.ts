import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";

/** What rules can hold. */
export interface Limits {
  /** Devices that the backend's rules can follow. */
  readonly mostDevices: number;
  /** Source addresses in a list of xt_recent; undefined where no such list is used. */
  readonly room: number | undefined;
}

/** Whether so many devices that may knock are within the limits; else the words for the owner. */
export function checkLimits(devices: number, { mostDevices, room }: Limits): Result<void> {
  if (devices > mostDevices) {
    const message = `the kernel engine follows the knocks of at most ${mostDevices} devices with this backend, and ${devices} may knock`;
    const hint = 'take backend = "nftables" (1000 devices) or engine = "packets", or let fewer users knock';
    return err(new TockError("config", message, hint));
  }
  if (room !== undefined && devices > room) {
    const message = `a list of xt_recent holds ${room} addresses, and ${devices} devices may knock: the door of the first may shut early`;
    const hint = `load the module with ip_list_tot=${devices} or more, before any rule uses it; or take backend = "nftables"`;
    return err(new TockError("config", message, hint));
  }
  return ok(undefined);
}
