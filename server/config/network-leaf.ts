import { type Network, parseAddress, parseNetwork } from "../../shared/address.ts";
import { parseTarget, type Target } from "../core/target.ts";
import type { Widths } from "../core/user.ts";
import { leaf, type Refusal } from "./leaf.ts";

/** Values of the file that are about networks; see leaf.ts. */

const NETWORK = "an IP address or a prefix such as 192.0.2.0/24";

export const network = leaf<Network>(NETWORK, readNetwork);

/** A network that is not everybody. */
export const partNetwork = leaf<Network>(NETWORK, (raw) => {
  const read = readNetwork(raw);
  if (read === undefined || !("value" in read) || read.value.prefix > 0) return read;
  return {
    expected: "a part of all addresses",
    hint: "this would leave the ports open to everybody: name the networks that you come from",
  };
});

function readNetwork(raw: unknown): { value: Network } | Refusal | undefined {
  const result = typeof raw === "string" ? parseNetwork(raw) : undefined;
  if (result?.ok) return { value: result.value };
  return result?.error.hint === undefined
    ? undefined
    : { expected: "a prefix with no bits set after it", hint: result.error.hint };
}

/** `{ ipv4 = 24, ipv6 = 64 }`; a family that is not given is not widened. */
export const widths = leaf<Widths>(
  "a table such as { ipv4 = 24, ipv6 = 64 }",
  (raw) => {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
    const { ipv4, ipv6, ...others } = raw as Record<string, unknown>;
    const isWidth = (value: unknown, least: number, most: number): value is number | undefined =>
      value === undefined ||
      (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most);
    const [other] = Object.keys(others);
    if (other !== undefined) return { expected: `ipv4 and ipv6 alone here, without "${other}"` };
    if (!isWidth(ipv4, 16, 31)) return { expected: "ipv4 to be a prefix length from 16 to 31" };
    if (!isWidth(ipv6, 32, 127)) return { expected: "ipv6 to be a prefix length from 32 to 127" };
    return { value: { 4: ipv4, 6: ipv6 } };
  },
  "everybody in the network gets in while a grant lasts: no wider than it must be",
);

const MOST_NETWORKS = 64;

/** `true`, or the networks that are meant; an empty list would guard nothing. */
export const forward = leaf<boolean | readonly Network[]>(
  `true, false or a list of 1 to ${MOST_NETWORKS} networks`,
  (raw) => {
    if (typeof raw === "boolean") return { value: raw };
    if (!Array.isArray(raw) || raw.length === 0 || raw.length > MOST_NETWORKS) return undefined;
    const networks: Network[] = [];
    for (const each of raw) {
      const read = readNetwork(each);
      if (read === undefined || !("value" in read)) return read ?? {};
      networks.push(read.value);
    }
    return { value: networks };
  },
  'for example true, or the networks behind this machine: ["10.1.2.0/24", "fd00:1:2::/64"]',
);

/** One target, or one of each family. */
export const targets = leaf<readonly Target[]>(
  "tcp/ADDRESS:PORT or udp/ADDRESS:PORT, or a list of one for IPv4 and one for IPv6",
  (raw) => {
    const texts: unknown[] = Array.isArray(raw) ? raw : [raw];
    if (texts.length === 0 || texts.length > 2) return undefined;
    const found = texts.flatMap((text) => (typeof text === "string" ? (parseTarget(text) ?? []) : []));
    if (found.length < texts.length) return undefined;
    if (found[0]?.family === found[1]?.family) return { expected: "one target for each of IPv4 and IPv6" };
    return found.every(({ address }) => isHostAddress(address))
      ? { value: found }
      : { expected: "the address of another host" };
  },
  'for example "tcp/10.1.2.3:22" or "tcp/[fd00::3]:22"',
);

/** Neither this machine by its loopback, nor nobody, nor many; link-local addresses do not say on which link. */
function isHostAddress(text: string): boolean {
  const address = parseAddress(text);
  const isOf = (network: string): boolean => {
    const parsed = parseNetwork(network);
    return parsed.ok && address.ok && parsed.value.contains(address.value);
  };
  return ![
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "::/127",
    "fe80::/10",
    "ff00::/8",
  ].some(isOf);
}
