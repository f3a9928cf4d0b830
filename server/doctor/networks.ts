import { maskAddress, parseAddress } from "../../shared/address.ts";

/** Whether an address is in a network: `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, `2001:db8::/32`, or a single address. */
export function within(address: string, network: string): boolean {
  const [base = "", length = ""] = network.split("/");
  const [one, other] = [parseAddress(address), parseAddress(base)];
  if (!one.ok || !other.ok || one.value.family !== other.value.family) return false;
  const most = one.value.family === 4 ? 32 : 128;
  const prefix = length === "" ? most : length.includes(".") ? onesOf(length) : Number(length);
  return maskAddress(one.value, prefix).equals(maskAddress(other.value, prefix));
}

function onesOf(mask: string): number {
  const bits = mask.split(".").map((byte) => Number(byte).toString(2).padStart(8, "0"));
  return bits.join("").indexOf("0") === -1 ? 32 : bits.join("").indexOf("0");
}
