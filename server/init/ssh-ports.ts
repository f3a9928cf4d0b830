import { runCommand } from "../firewall/command.ts";
import { type SshSession, sshSession } from "../sys/ssh-session.ts";

/** The ports where this machine's sshd listens, and how that is known, in words for a person. */
export interface SshPorts {
  readonly ports: readonly number[];
  readonly reason: string;
}

const USUAL = 22;

/** Asks sshd itself (`sshd -T`), and adds the port of the session that this runs in. Port 22 where nothing can be found out. */
export function sshPorts(
  configured: () => string | Error = askSshd,
  session: SshSession | undefined = sshSession(),
): SshPorts {
  const text = configured();
  const own = session?.serverPort;
  const said = typeof text === "string" ? listedPorts(text) : [];
  const reasons: string[] = [];
  if (said.length > 0) reasons.push(`sshd listens on ${said.join(", ")}, by sshd -T`);
  else reasons.push(text instanceof Error ? text.message : "sshd -T names no port");
  if (own !== undefined && !said.includes(own)) reasons.push(`this session came in on ${own}`);
  const ports = [...said, ...(own === undefined || said.includes(own) ? [] : [own])];
  if (ports.length > 0) return { ports, reason: reasons.join("; ") };
  return { ports: [USUAL], reason: `${reasons.join("; ")}; ${USUAL} is a guess` };
}

function askSshd(): string | Error {
  const said = runCommand(["sshd", "-T"], () => undefined, "", "look");
  if (said.ok) return said.value;
  return new Error(said.error.message.endsWith(": not found") ? "no sshd is here" : said.error.message);
}

/** `listenaddress` has each address with its port; `port` is all that there is where sshd listens everywhere. */
function listedPorts(text: string): number[] {
  const listen = [...text.matchAll(/^listenaddress .*:([0-9]{1,5})$/gm)];
  const found = listen.length > 0 ? listen : [...text.matchAll(/^port ([0-9]{1,5})$/gm)];
  return [...new Set(found.map(([, port]) => Number(port)))];
}
