import type { Host } from "./host.ts";

/** Every rule and set of a host, without counters and dates. */
export async function everything(host: Host): Promise<string> {
  const parts = ["iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save"];
  const saved = await Promise.all(parts.map((program) => host.must([program])));
  const text = [
    ...saved,
    await host.must(["nft", "list", "ruleset"]),
    await host.must(["ipset", "list"]),
  ].join("\n");
  return text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")
    .replace(/\[\d+:\d+\]/g, "")
    .replace(/packets \d+ bytes \d+/g, "");
}
