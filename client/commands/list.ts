import { TockError } from "../../shared/errors.ts";
import { defineCommand } from "../command.ts";
import type { Profile } from "../profile.ts";
import { ProfileStore } from "../profile-store.ts";
import { portsOf } from "../service-port.ts";
import { EXIT, type Ui } from "../ui.ts";

export const command = defineCommand({
  name: "list",
  summary: "list the profiles",
  words: [],
  options: {},
  examples: [["tock list", "names, servers, services"]],
  run(_input, ui) {
    const store = new ProfileStore();
    const names = store.names();
    const profiles: object[] = [];
    let failed = false;
    for (const name of names) {
      try {
        const profile = store.load(name);
        tell(profile, ui);
        profiles.push(describe(profile));
      } catch (error) {
        // One damaged profile does not hide the others.
        if (!(error instanceof TockError)) throw error;
        failed = true;
        profiles.push({ name, error: error.message });
        ui.trouble(error);
      }
    }
    if (names.length === 0) ui.line("no profiles yet; tock enroll - takes an enrolment link and makes one");
    ui.data({ ok: !failed, profiles });
    return failed ? EXIT.failed : EXIT.ok;
  },
});

function tell({ name, info, keys }: Profile, ui: Ui): void {
  const where = info.addresses
    .map((address) => (address.includes(":") ? `[${address}]` : address))
    .join(", ");
  ui.line(`${ui.paint("bold", name, 1)}  ${info.device} at ${where}, udp/${info.port}`);
  for (const service of info.services) ui.line(`  ${service.name}: ${portsOf(service)}`);
  const notes = [
    keys.kind === "sealed" ? `sealed (${String(keys.lock["kind"])})` : undefined,
    keys.kind === "plain" && keys.keys.enrolling
      ? `not enrolled yet: tock rotate ${name} ends it`
      : undefined,
    keys.kind === "plain" && keys.keys.next && !keys.keys.enrolling ? "a rotation stands open" : undefined,
    info.secondFactor ? "asks for a second-factor code" : undefined,
  ].filter((note) => note !== undefined);
  if (notes.length > 0) ui.line(`  ${notes.join("; ")}`);
}

function describe({ name, info, keys, createdAt }: Profile): object {
  return {
    name,
    server: info.server,
    device: info.device,
    addresses: info.addresses,
    port: info.port,
    services: info.services.map((service) => ({ name: service.name, ports: portsOf(service).split(", ") })),
    knock: info.knock !== undefined,
    replies: info.replies,
    static: info.isStatic,
    secondFactor: info.secondFactor,
    createdAt: new Date(createdAt).toISOString(),
    protection: keys.kind === "plain" ? "none" : String(keys.lock["kind"]),
    ...(keys.kind === "plain" && {
      secretSince: new Date(keys.keys.since).toISOString(),
      enrolling: keys.keys.enrolling,
      rotating: keys.keys.next !== undefined,
    }),
  };
}
