import { spawn } from "node:child_process";
import { constants } from "node:os";
import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { FAMILY } from "../options.ts";
import { ProfileStore } from "../profile-store.ts";
import { proxyCommand } from "../self.ts";
import { sshService, tcpPort } from "../service-port.ts";
import { family, serviceNamed } from "../values.ts";
import { hostKeyAlias } from "./ssh-config.ts";

const OPTIONS = {
  service: { value: "service", help: "the service that sshd listens at; otherwise the one called ssh" },
  "any-port": { help: "open for every source port, not only for that of the connection" },
  ...FAMILY,
} as const satisfies Options;

export const command = defineCommand({
  name: "ssh",
  summary: "open, and run ssh",
  words: ["<profile>"],
  rest: "[ssh arguments…]",
  options: OPTIONS,
  notes: [
    `Everything after <profile> goes to ssh as it is; the exit code is ssh's. <profile> may be user@profile. The
block of a Host with the profile's name in ~/.ssh/config applies.`,
  ],
  examples: [
    ["tock ssh myserver", "log in"],
    ["tock ssh bob@myserver -L 8080:localhost:80 uptime", "with ssh's own options"],
  ],
  run({ given, words, rest }, ui) {
    const [, user = "", name = ""] = /^(?:(.*)@)?([^@]*)$/.exec(words[0] ?? "") ?? [];
    const { info } = new ProfileStore().load(name);
    const service = given.service === undefined ? sshService(info) : serviceNamed(info, given.service);
    const port = service && tcpPort(service);
    if (port === undefined)
      throw new TockError("not-found", `profile ${name} has no service with a TCP port`);
    const only = family(given);
    const options = [
      ...(only === undefined ? [] : [`-${only}`]),
      ...(given["any-port"] ? ["--any-port"] : []),
      ...(ui.verbose ? ["--verbose"] : []),
    ];
    const settings = {
      ProxyCommand: proxyCommand(name, options),
      HostName: info.addresses[0] ?? "",
      HostKeyAlias: hostKeyAlias(name, given.service === undefined ? undefined : service?.name),
      Port: String(port),
    };
    const flags = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    return runSsh([...flags, user === "" ? name : `${user}@${name}`, ...rest]);
  },
});

/** Runs ssh in our place: its terminal, its signals, its exit code. */
function runSsh(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn("ssh", args, { stdio: "inherit" });
    // The terminal sends Ctrl-C and the like to ssh as well, which decides what they mean.
    const signals = ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const;
    for (const signal of signals) {
      process.on(signal, () =>
        signal === "SIGTERM" || signal === "SIGHUP" ? child.kill(signal) : undefined,
      );
    }
    child.once("error", (error: NodeJS.ErrnoException) => {
      const missing = error.code === "ENOENT";
      const hint = "install an OpenSSH client";
      reject(missing ? new TockError("not-found", "there is no program ssh", hint) : error);
    });
    child.once("exit", (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}
