import type { Command } from "commander";
import { TOTP, Secret as OtpSecret } from "otpauth";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import type { Settings } from "../config/settings.ts";
import type { Service } from "../core/grant.ts";
import type { User } from "../core/user.ts";
import { json } from "../ui.ts";
import { type Context, configFile, settingsInUse, settingsOf, withStore } from "./context.ts";
import { printQr } from "./qr.ts";
import { userNamed } from "./values.ts";

/** RFC 4226 §4 R6 recommends 160 bits. */
const OTP_SECRET_BYTES = 20;

interface AddFlags {
  readonly qr?: boolean;
  readonly uri?: boolean;
  readonly json?: boolean;
}

/** `tockd user otp add` and `remove`: a user's second factor, for any authenticator app. */
export function addUserOtp(parent: Command, context: Context): void {
  const { ui } = context;
  const otp = parent.command("otp").description("a user's second factor");
  otp
    .command("add")
    .description("make a second factor: prints its QR code and otpauth:// address, once")
    .argument("<user>")
    .option("--qr", "print the QR code alone")
    .option("--uri", "print the otpauth:// address alone")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tockd user otp add alice\n  tockd user otp add alice --uri   for an app that takes the address as text\n",
    )
    .action(async (name: string, flags: AddFlags, command: Command) => {
      const settings = settingsOf(command);
      const user = userNamed(name, settings, configFile(command));
      const secret = new Secret(context.random(OTP_SECRET_BYTES));
      await withStore(settings, (store) => unwrap(store.otp.add(name, secret, context.now())));
      const uri = otpUri(secret, name, settings.server.name);
      if (flags.json) return ui.out(json({ user: name, uri }));
      const both = flags.qr === flags.uri;
      const again = `tockd user otp remove ${name} && tockd user otp add ${name}`;
      const isShown = (both || flags.qr === true) && printQr(uri, again, ui);
      if (both || !isShown) ui.out(`${uri}\n`);
      ui.note(`\nscan it with an authenticator app; it is not shown again\n`);
      if (!isAsked(user, settings)) {
        ui.note(
          `tock: hint: it is asked for once [users.${name}] or a service says second_factor = "required"\n`,
        );
      }
    });
  otp
    .command("remove")
    .description("forget a user's second factor")
    .argument("<user>")
    .addHelpText("after", "\nExample:\n  tockd user otp remove alice\n")
    .action(async (name: string, _flags: object, command: Command) => {
      const settings = settingsInUse(command, ui);
      await withStore(settings, (store) => unwrap(store.otp.remove(name)));
      ui.note(`the second factor of ${name} is removed\n`);
      if (settings.users.some((user) => user.name === name && user.secondFactor)) {
        ui.note(
          `tock: hint: ${name} can open nothing until tockd user otp add ${name}: the second factor is required\n`,
        );
      }
    });
}

/** Whether this user is asked for a code anywhere. */
function isAsked(user: User, { services }: Settings): boolean {
  const asks = ({ name, secondFactor }: Service): boolean => secondFactor && user.services.includes(name);
  return user.secondFactor || services.some(asks);
}

/** RFC 6238 with what every authenticator app takes: SHA-1, 6 digits, 30 seconds. */
function otpUri(secret: Secret, user: string, server: string): string {
  const bytes = new OtpSecret({ buffer: secret.expose().slice().buffer });
  return new TOTP({ issuer: `Tock ${server}`, label: user, secret: bytes }).toString();
}
