import { Secret as OtpSecret, TOTP } from "otpauth";
import { type UnixMillis, userOf } from "../shared/brand.ts";
import { stepAt } from "../shared/time-step.ts";
import type { Device } from "./core/device.ts";
import type { CodeVerdict } from "./core/policy.ts";
import type { DeviceStore } from "./store/device-store.ts";

/** Wrong codes that a device may give in an hour; then none is looked at until the hour is over. */
const MAX_WRONG = 10;
const HOUR = 3600_000;

/**
 * Checks a second-factor code against its user's secret (RFC 6238, one step either way) and uses it up (§5.2). Codes are
 * only looked at in authentic packets, and each device has its own budget of wrong ones. What cannot be stored is wrong.
 */
export function checkCode(
  store: DeviceStore,
  device: Device,
  code: number | undefined,
  now: UnixMillis,
): CodeVerdict {
  const user = userOf(device.id);
  const otp = store.otp.get(user);
  const record = store.get(device.id);
  if (!otp.ok || !record.ok || otp.value === undefined || code === undefined) return "missing";

  const { number } = record.value;
  const guesses = store.otp.guesses(number);
  if (!guesses.ok) return "wrong";
  const age = guesses.value === undefined ? HOUR : now - guesses.value.since;
  // Guesses of a time to come are of a clock that was wrong.
  const recent = age >= 0 && age < HOUR ? guesses.value : undefined;
  if (recent !== undefined && recent.wrong >= MAX_WRONG) return "exhausted";

  const totp = new TOTP({ secret: new OtpSecret({ buffer: otp.value.secret.expose().slice().buffer }) });
  const delta = totp.validate({ token: String(code).padStart(6, "0"), timestamp: now, window: 1 });
  if (delta !== null) {
    const burned = store.otp.burn(user, stepAt(now) + delta);
    if (burned.ok && burned.value) {
      if (guesses.value !== undefined) store.otp.setGuesses(number, undefined);
      return "ok";
    }
  }
  store.otp.setGuesses(number, { wrong: (recent?.wrong ?? 0) + 1, since: recent?.since ?? now });
  return "wrong";
}
