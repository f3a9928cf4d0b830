import type { Settings } from "../config/settings.ts";
import { runCommand } from "../firewall/command.ts";
import { type Finding, fail, fine, warn } from "./finding.ts";
import { inIptables, inNftables, type Obstacle, type Probe } from "./rules.ts";

const NO_LOG = (): void => undefined;

/** Whether the machine's own firewall lets through what Tock would open: a grant cannot overrule it. */
export function lookAtFirewalls(settings: Settings): Finding[] {
  const tables = [
    ...["iptables-nft-save", "iptables-legacy-save", "ip6tables-nft-save", "ip6tables-legacy-save"].map(
      (program) => ({
        program,
        look: inIptables,
        argv: [program, "-t", "filter"] as const,
      }),
    ),
    { program: "nft", look: inNftables, argv: ["nft", "-j", "list", "ruleset"] as const },
  ].flatMap(({ program, look, argv }) => {
    const listed = runCommand(argv, NO_LOG, "", "look");
    return listed.ok && listed.value.trim() !== "" ? [{ program, look, text: listed.value }] : [];
  });
  const findings: Finding[] = [];
  for (const { name, ports } of settings.services) {
    for (const { protocol, first, last } of ports) {
      const probes: Probe[] = [...new Set<number>([first, last])].map((port) => ({ protocol, port }));
      const blocked = probes.flatMap((probe) =>
        tables.flatMap(({ program, look, text }) => {
          const obstacle = look(text, probe);
          return obstacle === undefined ? [] : [{ program, probe, obstacle }];
        }),
      );
      for (const { program, probe, obstacle } of unique(blocked))
        findings.push(finding(name, program, probe, obstacle));
    }
  }
  return [
    ...(findings.length > 0
      ? findings
      : [fine("firewall", "the machine's own firewall lets every service through")]),
    ...notrack(),
  ];
}

function unique<T extends { program: string; probe: Probe }>(list: readonly T[]): T[] {
  const keys = new Set<string>();
  return list.filter(({ program, probe }) => {
    const key = `${program.slice(0, 3)} ${probe.protocol}/${probe.port}`;
    if (keys.has(key)) return false;
    keys.add(key);
    return true;
  });
}

function finding(
  service: string,
  program: string,
  { protocol, port }: Probe,
  obstacle: NonNullable<Obstacle>,
): Finding {
  const what = `${protocol}/${port} of ${service} is dropped by the machine's own firewall: ${obstacle.rule}`;
  return fail("firewall", what, remedy(program, { protocol, port }, obstacle.where));
}

/** In the words of whoever wrote the rules. */
function remedy(program: string, { protocol, port }: Probe, where: string): string {
  if (/ufw/.test(where) || isActive("ufw", "status", /^Status: active/m))
    return `ufw allow ${port}/${protocol}`;
  if (/firewalld/.test(where)) {
    return `firewall-cmd --permanent --add-port=${port}/${protocol} && firewall-cmd --reload`;
  }
  if (program === "nft")
    return `nft insert rule ${where.replace(/^chain /, "")} ${protocol} dport ${port} accept`;
  return `${program.replace("-save", "")} -I INPUT -p ${protocol} --dport ${port} -j ACCEPT, and keep it over a restart; the guard stays in front of it`;
}

function isActive(program: string, word: string, pattern: RegExp): boolean {
  const said = runCommand([program, word], NO_LOG, "", "look");
  return said.ok && pattern.test(said.value);
}

/** Connections that conntrack does not follow are never established, so the guard would cut them. */
function notrack(): Finding[] {
  const raw = [
    "iptables-nft-save",
    "iptables-legacy-save",
    "ip6tables-nft-save",
    "ip6tables-legacy-save",
  ].flatMap((program) => {
    const listed = runCommand([program, "-t", "raw"], NO_LOG, "", "look");
    return listed.ok ? (listed.value.match(/^-A .*(?:NOTRACK|--notrack).*$/gm) ?? []) : [];
  });
  const nft = runCommand(["nft", "list", "ruleset"], NO_LOG, "", "look");
  const rules = [...raw, ...(nft.ok ? (nft.value.match(/^.*\bnotrack\b.*$/gm) ?? []) : [])];
  return rules
    .slice(0, 3)
    .map((rule) =>
      warn(
        "conntrack",
        `a rule switches connection tracking off: ${rule.trim()}`,
        "what it is about is never established, and the guard drops it on protected ports: leave those out of the rule",
      ),
    );
}
