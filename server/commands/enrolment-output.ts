import { type Enrolment, encodeEnrolment } from "../../shared/enrolment.ts";
import { publicKey } from "../../shared/rotation.ts";
import { parseAddress } from "../../shared/address.ts";
import { seconds } from "../../shared/brand.ts";
import type { Secret } from "../../shared/secret.ts";
import type { Settings } from "../config/settings.ts";
import type { Device } from "../core/device.ts";
import type { User } from "../core/user.ts";
import type { ServerIdentity } from "../store/identity.ts";
import { json, type Ui } from "../ui.ts";
import { printQr } from "./qr.ts";

/** `--qr`, `--link` and `--json`; none of them = QR code and link. */
export interface OutputFlags {
  readonly qr?: boolean;
  readonly link?: boolean;
  readonly json?: boolean;
}

/** Everything that a device with this secret has to know. */
export function enrolmentOf(
  device: Device,
  secret: Secret,
  user: User,
  settings: Settings,
  identity: ServerIdentity,
): Enrolment {
  const { first, last, length, transport } = settings.knock;
  const names = device.services ?? user.services;
  const services = settings.services.filter(({ name }) => names.includes(name));
  return {
    serverId: identity.id,
    serverKey: publicKey(identity.key),
    secret,
    device: device.id,
    server: settings.server.name,
    addresses: [...settings.server.addresses].sort(
      (a, b) => Number(!parseAddress(a).ok) - Number(!parseAddress(b).ok),
    ),
    port: settings.server.port,
    knock: user.mayKnock
      ? { first, last, length, transport: transport === "udp" ? "udp" : "tcp" }
      : undefined,
    services: services.map(({ name, ports }) => ({ name, ports })),
    replies: settings.server.reply === "authenticated",
    isStatic: device.isStatic,
    secondFactor: user.secondFactor || services.every((service) => service.secondFactor),
    rotateAfter: device.isStatic ? 0 : (settings.rotation.rotateAfter ?? seconds(0)),
  };
}

/** Prints the link, which holds the secret and is shown this once. */
export function printEnrolment(
  enrolment: Enrolment,
  page: string | undefined,
  flags: OutputFlags,
  ui: Ui,
): void {
  const link = encodeEnrolment(enrolment, page);
  const services = enrolment.services.map(({ name }) => name);
  if (flags.json) {
    ui.out(
      json({
        device: enrolment.device,
        server: enrolment.server,
        services,
        static: enrolment.isStatic,
        link,
      }),
    );
    return;
  }
  const both = flags.qr === flags.link;
  const again = `tockd device rotate ${enrolment.device} --qr`;
  const isShown = (both || flags.qr === true) && printQr(link, again, ui);
  // It is shown this once, in one way or the other.
  if (both || !isShown) ui.out(`${link}\n`);
  ui.note(`\n${enrolment.device} may open ${services.join(", ")} on ${enrolment.server}\n`);
  ui.note(
    page === undefined
      ? "on the device: tock enroll - (then paste the link), or scan the code\n"
      : "on the device: open the link, or scan the code\n",
  );
  ui.note(
    enrolment.isStatic
      ? "the link is the device's secret for good: give it to nobody else, and keep no copy\n"
      : "the link works once and is not shown again\n",
  );
}
