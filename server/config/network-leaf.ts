import { type Network, parseNetwork } from "../../shared/address.ts";
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
