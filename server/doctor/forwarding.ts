import { readFileSync } from "node:fs";
import type { Settings } from "../config/settings.ts";
import { runCommand } from "../firewall/command.ts";
import { type Finding, fail, fine, warn } from "./finding.ts";

const SWITCHES = { 4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding" } as const;

/** Whether this machine forwards what services with `to` and `forward` are about, and finds the hosts that they lead to. */
export function lookAtForwarding({ services }: Settings): Finding[] {
  const targets = services.flatMap(({ name, to = [] }) => to.map((target) => ({ name, target })));
  const routed = services.filter(({ forward }) => forward !== undefined);
  if (targets.length === 0 && routed.length === 0) return [];
  const off = ([4, 6] as const).filter((family) => !isForwarding(family));
  const findings: Finding[] = off.flatMap((family) => {
    const name = targets.find(({ target }) => target.family === family)?.name;
    if (name === undefined) return [];
    const message = `this machine forwards no IPv${family}, so ${name} leads nowhere`;
    return [fail("forwarding", message, `sysctl -w ${SWITCHES[family]}=1, and keep it in /etc/sysctl.d`)];
  });
  const [first] = routed;
  if (off.length === 2 && first !== undefined) {
    const message = `this machine forwards nothing, so there is nothing to guard for ${first.name}`;
    findings.push(
      warn("forwarding", message, `leave out forward, or: sysctl -w ${SWITCHES[4]}=1 ${SWITCHES[6]}=1`),
    );
  }
  for (const { name, target } of targets) {
    const route = runCommand(["ip", "route", "get", target.address], () => undefined, "", "look");
    if (!route.ok) {
      const message = `there is no route to ${target.address}, where ${name} leads`;
      findings.push(fail("forwarding", message, "ip route add …, or correct to"));
    } else if (route.value.startsWith("local ")) {
      const message = `${target.address}, where ${name} leads, is this machine's own`;
      findings.push(fail("forwarding", message, "leave out to: the port is on this machine already"));
    }
  }
  return findings.length > 0
    ? findings
    : [fine("forwarding", "what leads to other hosts is forwarded, and has a route")];
}

function isForwarding(family: 4 | 6): boolean {
  try {
    return readFileSync(`/proc/sys/${SWITCHES[family].replaceAll(".", "/")}`, "latin1").trim() !== "0";
  } catch {
    return false;
  }
}
