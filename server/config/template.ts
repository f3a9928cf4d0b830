import { stringify } from "smol-toml";
import { formatPath } from "./mistake.ts";

/** What `tockd init` was told, unchecked: the text that comes out is read back and checked as any other. */
export interface TemplateInput {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly port: string | undefined;
  readonly services: readonly { readonly name: string; readonly ports: readonly string[] }[];
  readonly users: readonly string[];
  readonly knock: boolean;
  readonly state: string | undefined;
  readonly socket: string | undefined;
  readonly backend: string | undefined;
  /** Networks that never need to ask. */
  readonly allow: readonly string[];
}

/** A first tockd.toml, with what a person needs to know to go on from there. */
export function configTemplate(input: TemplateInput): string {
  const port = input.port !== undefined && /^\d{1,9}$/.test(input.port) ? Number(input.port) : input.port;
  return `# The configuration of tockd. Every key is described in docs/CONFIG.md.
# Check it with: tockd check          See what is in effect with: tockd config

[server]
name = ${toml(input.name)}
# Where clients send packets. A web client in Firefox takes IP addresses only.
addresses = ${toml(input.addresses)}
${optional("port", port, 62201, "UDP port of SPA packets. Nothing listens on it and nothing answers but to a device.")}
${optional("state", input.state, "/var/lib/tock", "Secrets and the replay journal.")}
${optional("socket", input.socket, "/run/tock/tockd.sock", "How the commands reach the running daemon.")}
# "authenticated" answers the devices' own packets; with "never" no packet ever leaves.
#reply = "authenticated"

[firewall]
${optional("backend", input.backend, "iptables", '"iptables", "nftables" or "dry-run".')}
# Networks that never need to ask, such as your office's: ["198.51.100.0/24"].
${input.allow.length === 0 ? "#allow = []" : `allow = ${toml(input.allow)}`}

[rotation]
# A device's secret is replaced by itself when it is this old.
#rotate_after = "30d"

# What stays shut until a device asks, and for how long it then opens.
${input.services.map(serviceTable).join("\n")}
# Who may ask. tockd device add USER/DEVICE enrols a device.
${input.users.length === 0 ? EXAMPLE_USER : input.users.map((name) => userTable(name, input)).join("\n")}`;
}

const EXAMPLE_USER = `#[users.alice]
#services = ["ssh"]
`;

function serviceTable({ name, ports }: TemplateInput["services"][number]): string {
  return `[${formatPath(["services", name])}]
ports = ${toml(ports)}
#ttl = "30s"
#max_ttl = "10m"
`;
}

function userTable(name: string, { services, knock }: TemplateInput): string {
  return `[${formatPath(["users", name])}]
services = ${toml(services.map(({ name }) => name))}
${knock ? "knock = true" : "#knock = true"}
#expires = 2030-12-31
#networks = ["192.0.2.0/24"]
`;
}

function optional(
  key: string,
  value: string | number | undefined,
  usual: string | number,
  about: string,
): string {
  return `# ${about}\n${value === undefined ? `#${key} = ${toml(usual)}` : `${key} = ${toml(value)}`}`;
}

/** Text, a number or a list of texts as TOML. */
function toml(value: string | number | undefined | readonly string[]): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  return stringify({ value })
    .replace(/^value = /, "")
    .trimEnd();
}
