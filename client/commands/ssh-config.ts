import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { ProfileStore } from "../profile-store.ts";
import { proxyCommand } from "../self.ts";
import { sshService, tcpPort } from "../service-port.ts";
import { EXIT, usage } from "../ui.ts";
import { serviceNamed } from "../values.ts";

const OPTIONS = {
  host: { value: "alias", help: "the name to type after ssh; otherwise the profile's" },
  service: { value: "service", help: "the service that sshd listens at; otherwise the one called ssh" },
  user: { value: "name", help: "the user to log in as" },
} as const satisfies Options;

export const command = defineCommand({
  name: "ssh-config",
  summary: "print the block for ~/.ssh/config that makes ssh open by itself",
  words: ["<profile>"],
  options: OPTIONS,
  notes: ["After that plain ssh, scp, sftp, rsync, git and editors open the port as they connect."],
  examples: [
    ["tock ssh-config myserver >> ~/.ssh/config", "from then on: ssh myserver"],
    ["tock ssh-config myserver --host work --user bob", "ssh work logs in as bob"],
  ],
  run({ given, words }, ui) {
    const { name, info } = new ProfileStore().load(words[0] ?? "");
    const service = given.service === undefined ? sshService(info) : serviceNamed(info, given.service);
    const port = service && tcpPort(service);
    if (port === undefined)
      throw new TockError("not-found", `profile ${name} has no service with a TCP port`);
    const host = word("host", given.host) ?? name;
    const user = word("user", given.user);
    const settings = {
      HostName: info.addresses[0] ?? "",
      Port: String(port),
      ...(user !== undefined && { User: user }),
      HostKeyAlias: hostKeyAlias(name, given.service === undefined ? undefined : service?.name),
      ProxyCommand: proxyCommand(name),
    };
    ui.line(
      [`Host ${host}`, ...Object.entries(settings).map(([key, value]) => `  ${key} ${value}`)].join("\n"),
    );
    ui.data({ ok: true, profile: name, host, settings });
    return EXIT.ok;
  },
});

/**
 * The name that ssh remembers the server's key under, whichever of its addresses a connection takes. A service that is named may lead to
 * another machine.
 */
export function hostKeyAlias(profile: string, service?: string): string {
  return service === undefined ? `${profile}.tock` : `${service}.${profile}.tock`;
}

function word(option: string, text: string | undefined): string | undefined {
  if (text === undefined || /^[A-Za-z0-9][A-Za-z0-9._@-]*$/.test(text)) return text;
  throw usage(`--${option}: expected a word of letters, digits, . _ @ and -, got ${JSON.stringify(text)}`);
}
