import type { Firewalls } from "./journey.ts";
import type { Packet, Rule } from "./walk.ts";

/** Rules that keep conntrack from following a connection of this kind, in their own words. */
export function untracked({ iptables, nft }: Firewalls, packet: Packet): string[] {
  const raw = iptables
    .filter(({ family }) => family === packet.family)
    .flatMap(({ tables }) => [...(tables.get("raw")?.chains.values() ?? [])].flat())
    .filter(({ text, chain }) => chain !== "OUTPUT" && / -j (NOTRACK|CT .*--notrack)/.test(bare(text)));
  const own = [...nft.chains.values()].flat().filter(({ text }) => /\bnotrack$/.test(text));
  const isAbout = ({ judge }: Rule): boolean => judge(packet).match !== "none";
  return [...raw, ...own].filter(isAbout).map(({ text }) => text);
}

/** Without what is in quotes: comments. */
function bare(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, "");
}
