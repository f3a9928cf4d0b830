import type { DeviceId, UnixMillis } from "../../shared/brand.ts";
import { SECRET_BYTES } from "../../shared/constants.ts";
import type { Enrolment } from "../../shared/enrolment.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import type { Settings } from "../config/settings.ts";
import type { Device } from "../core/device.ts";
import { type Context, withStore } from "./context.ts";
import { enrolmentOf } from "./enrolment-output.ts";
import { notifyDaemon } from "./notify.ts";
import { userOfDevice } from "./values.ts";

/** How a new device differs from the usual one. */
export interface EnrolOptions {
  readonly isStatic?: boolean;
  readonly services?: Device["services"];
  readonly expiresAt?: UnixMillis | undefined;
}

/** Makes a secret for a new device of a user that `config` has, stores it and tells the running daemon. */
export async function enrol(
  id: DeviceId,
  settings: Settings,
  config: string,
  context: Context,
  { isStatic = false, services, expiresAt }: EnrolOptions = {},
): Promise<Enrolment> {
  const user = userOfDevice(id, settings, config);
  const now = context.now();
  const secret = new Secret(context.random(SECRET_BYTES));
  const device: Device = {
    id,
    enabled: true,
    current: { secret, since: now },
    currentUntil: undefined,
    next: undefined,
    nextFromLink: false,
    retired: [],
    enrolling: !isStatic,
    isStatic,
    services,
    expiresAt,
  };
  const enrolment = await withStore(settings, (store) => {
    unwrap(store.add(device, now));
    return enrolmentOf(device, secret, user, settings, store.identity);
  });
  await notifyDaemon(settings, [id], context.ui);
  return enrolment;
}
