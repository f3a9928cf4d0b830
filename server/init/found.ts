import { networkInterfaces, userInfo } from "node:os";
import { type Detection, detectBackend } from "../firewall/detect.ts";

/** What can be found out about this machine, so that a person need not be asked. */

/** What people call this server: its host's name. */
export function serverNameFrom(hostname: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}/.exec(hostname)?.[0] ?? "server";
}

/** Addresses of this host that a client elsewhere could reach: no loopback, no link-local, no bridge of its own. */
export function ownAddresses(): string[] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !/^(docker|br-|veth|virbr|lo)/.test(name))
    .flatMap(([, list]) => list ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address))
    .map(({ address }) => address)
    .slice(0, 8);
}

/** The backend that fits here. Where none works now, the usual one, with what it lacks. */
export function fittingBackend(): Detection {
  const detected = detectBackend();
  if (detected.ok) return detected.value;
  const { message } = detected.error;
  return { backend: "iptables", reason: `a guess: ${message}` };
}

/** Who is likely to be the first user: the person who became root. */
export function likelyUser(env: NodeJS.ProcessEnv = process.env): string {
  const names = [env["SUDO_USER"], env["DOAS_USER"], userInfo().username];
  return (
    names.find((name) => name !== undefined && name !== "root" && /^[a-z0-9][a-z0-9._-]*$/.test(name)) ??
    "admin"
  );
}
