import type { Sequence } from "./sequence.ts";

/**
 * A sequence as lines for other programs: each knows how to send it to `host`, an address, and waits no longer for any port than
 * it takes the system to think of sending the packet again.
 */
export const FORMATS = {
  nmap: ({ ports, transport }, host) => {
    const scan = transport === "udp" ? " -sU" : "";
    const six = host.includes(":") ? " -6" : "";
    return ports.map(
      (port) => `nmap${six}${scan} -Pn --host-timeout 201ms --max-retries 0 -p ${port} ${host} -n`,
    );
  },
  nc: ({ ports, transport }, host) =>
    ports.map((port) =>
      transport === "udp" ? `printf . | nc -u -w 1 ${host} ${port}` : `nc -z -w 1 ${host} ${port}`,
    ),
  bash: ({ ports, transport }, host) =>
    ports.map((port) => `timeout 0.3 bash -c 'echo > /dev/${transport}/${host}/${port}' 2> /dev/null`),
  powershell: ({ ports, transport }, host) => {
    const family = `'${host.includes(":") ? "InterNetworkV6" : "InterNetwork"}'`;
    return ports.map((port) =>
      transport === "udp"
        ? `$u = [Net.Sockets.UdpClient]::new(${family}); [void]$u.Send([byte[]](0), 1, '${host}', ${port}); $u.Close(); Start-Sleep -Milliseconds 50`
        : `$c = [Net.Sockets.TcpClient]::new(${family}); try { [void]$c.ConnectAsync('${host}', ${port}).Wait(200) } catch {}; $c.Close()`,
    );
  },
  knock: ({ ports, transport }, host) => {
    const six = host.includes(":") ? " -6" : "";
    return [`knock${six} -d 50 ${host} ${ports.map((port) => `${port}:${transport}`).join(" ")}`];
  },
} as const satisfies Readonly<Record<string, (sequence: Sequence, host: string) => readonly string[]>>;

export type Format = keyof typeof FORMATS;
