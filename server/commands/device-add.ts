import type { Command } from "commander";
import { userOf } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { isByHand } from "../grant-desk.ts";
import { type Context, configFile, settingsOf } from "./context.ts";
import { enrol } from "./enrol.ts";
import { type OutputFlags, printEnrolment } from "./enrolment-output.ts";
import { deviceArgument, momentFlag, pageFlag, servicesFlag, userOfDevice } from "./values.ts";

interface AddFlags extends OutputFlags {
  readonly services?: string;
  readonly expires?: string;
  readonly static?: boolean;
  readonly web?: string;
}

/** `tockd device add`: makes a secret for a new device and prints it once, as link and QR code. */
export function addDeviceAdd(parent: Command, context: Context): void {
  parent
    .command("add")
    .description("enrol a device: prints its link and QR code, once")
    .argument("<user/device>", "for example alice/phone")
    .option("--services <names>", "only these of the user's services, separated by commas")
    .option("--expires <when>", "the device stops working then: 90d, or 2027-01-31")
    .option("--static", "the secret never rotates (for clients that can only knock)")
    .option("--qr", "print the QR code alone")
    .option("--link", "print the link alone")
    .option("--json", "print JSON")
    .option("--web <url>", "make the link open this page (the web client) instead of tock")
    .addHelpText("after", "\nExample:\n  tockd device add alice/phone --services ssh --expires 90d\n")
    .action(async (name: string, flags: AddFlags, command: Command) => {
      const settings = settingsOf(command);
      const id = deviceArgument(name);
      if (isByHand(id)) {
        const message = `expected another name than ${id}: grants by command are written down under it`;
        throw new TockError("usage", message, `for example ${userOf(id)}/laptop`);
      }
      const config = configFile(command);
      const user = userOfDevice(id, settings, config);
      const page = pageFlag(flags.web);
      const enrolment = await enrol(id, settings, config, context, {
        isStatic: flags.static === true,
        services: servicesFlag(flags.services, user),
        expiresAt:
          flags.expires === undefined ? undefined : momentFlag("--expires", flags.expires, context.now()),
      });
      printEnrolment(enrolment, page, flags, context.ui);
    });
}
