import type { Command } from "commander";
import { SECRET_BYTES } from "../../shared/constants.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import type { Device } from "../core/device.ts";
import type { DeviceRecord } from "../store/device-rows.ts";
import { type Context, configFile, settingsOf, withStore } from "./context.ts";
import { enrolmentOf, type OutputFlags, printEnrolment } from "./enrolment-output.ts";
import { notifyDaemon } from "./notify.ts";
import { deviceArgument, momentFlag, pageFlag, userOfDevice } from "./values.ts";

interface RotateFlags extends OutputFlags {
  readonly deadline?: string;
  readonly web?: string;
}

/** `tockd device rotate`: a new link for a device; the secret that it has works on until the link is used. */
export function addDeviceRotate(parent: Command, context: Context): void {
  parent
    .command("rotate")
    .description("print a new link for a device; its old secret works until the link is first used")
    .argument("<user/device>")
    .option("--deadline <when>", "end the old secret then, used or not: 7d, or 2027-01-31")
    .option("--qr", "print the QR code alone")
    .option("--link", "print the link alone")
    .option("--json", "print JSON")
    .option("--web <url>", "make the link open this page (the web client) instead of tock")
    .addHelpText("after", "\nExample:\n  tockd device rotate alice/phone --deadline 7d\n")
    .action(async (name: string, flags: RotateFlags, command: Command) => {
      const settings = settingsOf(command);
      const id = deviceArgument(name);
      const user = userOfDevice(id, settings, configFile(command));
      const now = context.now();
      const page = pageFlag(flags.web);
      const deadline =
        flags.deadline === undefined ? undefined : momentFlag("--deadline", flags.deadline, now);
      const secret = new Secret(context.random(SECRET_BYTES));
      const enrolment = await withStore(settings, (store) => {
        const change = (device: DeviceRecord): Device =>
          withNewLink(device, { secret, since: now }, deadline);
        const device = unwrap(store.update(id, change));
        return enrolmentOf(device, secret, user, settings, store.identity);
      });
      await notifyDaemon(settings, [id], context.ui);
      printEnrolment(enrolment, page, flags, context.ui);
    });
}

/** A link that was never used is replaced; a secret in use stays beside the new one. */
function withNewLink(
  device: DeviceRecord,
  link: DeviceRecord["current"],
  deadline: DeviceRecord["currentUntil"],
): Device {
  if (device.enrolling && device.next === undefined) return { ...device, current: link };
  return { ...device, next: link, nextFromLink: !device.isStatic, currentUntil: deadline };
}
