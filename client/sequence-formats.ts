import type { Sequence } from "./sequence.ts";

/** A sequence as lines for other programs: each knows how to send it to `host`. */
export const FORMATS = {
  // -n: a resolver that does not answer would spread the knocks over minutes.
  nmap: ({ ports, transport }, host) => {
    const scan = transport === "udp" ? " -sU" : "";
    const six = host.includes(":") ? " -6" : "";
    return ports.map(
      (port) => `nmap${six}${scan} -n -Pn --host-timeout 201ms --max-retries 0 -p ${port} ${host}`,
    );
  },
} as const satisfies Readonly<Record<string, (sequence: Sequence, host: string) => readonly string[]>>;

export type Format = keyof typeof FORMATS;
