import { lookup } from "node:dns/promises";
import { parseAddress } from "../../shared/address.ts";
import type { Settings } from "../config/settings.ts";
import { type Finding, fail, fine, warn } from "./finding.ts";
import { look } from "./look.ts";

/** One of this machine's addresses, as `ip -json address` has it. */
interface Own {
  readonly address: string;
  readonly device: string;
  /** The kernel's word: a device of some kinds does not tell whether it is up. */
  readonly isDown: boolean;
}

/** Whether clients reach this machine by the addresses that they are given. */
export async function lookAtAddresses({ server }: Settings): Promise<Finding[]> {
  const own = ownAddresses();
  return await Promise.all(
    server.addresses.map(async (text) => {
      const addresses = parseAddress(text).ok ? [text] : await resolve(text);
      return judge(text, addresses, own, server.port);
    }),
  );
}

function judge(text: string, addresses: readonly string[], own: readonly Own[], port: number): Finding {
  if (addresses.length === 0) {
    return fail("address", `${text} cannot be resolved`, "correct it in [server] addresses, or in the DNS");
  }
  const here = own.filter(({ address }) => addresses.includes(address));
  const [first] = here;
  if (first === undefined) {
    const forward = `if a router or a cloud maps it to this machine, have it forward udp/${port} and the services' ports; otherwise correct [server] addresses`;
    return warn("address", `${text} is on none of this machine's interfaces`, forward);
  }
  if (here.every(({ isDown }) => isDown)) {
    const hint = `ip link set ${first.device} up, or name the address of the interface that clients come in by in [server] addresses`;
    return fail("address", `${text} is on ${first.device}, which is down`, hint);
  }
  if (here.every(({ device }) => device === "lo")) {
    const hint =
      "name an address that clients can reach in [server] addresses, unless a router leads to this one";
    return warn("address", `${text} is on lo: only this machine itself is sure to reach it`, hint);
  }
  return fine("address", `${text} is this machine's, on ${first.device}`);
}

function ownAddresses(): Own[] {
  const listed = look("ip", "-json", "address") ?? "";
  const links = JSON.parse(listed === "" ? "[]" : listed) as {
    readonly ifname?: string;
    readonly operstate?: string;
    readonly addr_info?: readonly { readonly local?: string }[];
  }[];
  return links.flatMap(({ ifname = "", operstate, addr_info = [] }) =>
    addr_info.map(({ local = "" }) => ({ address: local, device: ifname, isDown: operstate === "DOWN" })),
  );
}

async function resolve(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}
