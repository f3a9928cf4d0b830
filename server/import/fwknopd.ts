import { FWKNOPD_NOTES } from "./fwknop-notes.ts";
import type { Mistake, Note } from "./imported.ts";

/** Variables that say where packets go. */
const READ = new Set(["pcap_filter", "udpserv_port", "firewall_exe"]);

/** Reads fwknopd.conf: the port that packets go to, and a note for everything else that is set. */
export function readFwknopd(
  text: string,
  { notes, mistakes }: { readonly notes: Note[]; readonly mistakes: Mistake[] },
): { readonly port: number | undefined } {
  let port: number | undefined;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const content = raw.trim();
    if (content === "" || content.startsWith("#")) continue;
    const [, name = "", value = ""] = /^([A-Za-z_0-9]+)\s+(.*?)\s*;?$/.exec(content) ?? [];
    const key = name.toLowerCase();
    const what = `fwknopd.conf: ${name}`;
    const why = FWKNOPD_NOTES[key];
    if (name === "") mistakes.push({ line, message: "fwknopd.conf: expected a variable and its value" });
    else if (why !== undefined) notes.push({ line, what, why });
    else if (!READ.has(key)) mistakes.push({ line, message: `${name} is no variable of fwknopd.conf` });
    else if (key === "firewall_exe")
      notes.push({ line, what, why: "[firewall] backend chooses: iptables or nftables" });
    else {
      const [, found] = (key === "udpserv_port" ? /^(\d+)$/ : /^udp (?:dst )?port (\d+)$/).exec(value) ?? [];
      if (found !== undefined && Number(found) >= 1 && Number(found) <= 65_535) port = Number(found);
      else notes.push({ line, what, why: "packets go to one UDP port: [server] port" });
    }
  }
  return { port };
}
