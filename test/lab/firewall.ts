import { fileURLToPath } from "node:url";
import type { GuardPlan, GuardState } from "../../server/core/firewall.ts";
import type { PortRange, Service } from "../../server/core/grant.ts";
import type { Port, Seconds, ServiceName } from "../../shared/brand.ts";
import { type Argv, COMPILED, type RunOptions } from "./exec.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";

/** A grant in JSON. */
export interface WantedGrant {
  readonly service: Service;
  readonly source: string;
  readonly lifetime: number;
  readonly connections: number;
  readonly sourcePort?: number;
}

export type FirewallRequest =
  | { readonly op: "guardOn" | "guardState" | "keep"; readonly plan: GuardPlan }
  | { readonly op: "guardOff" | "list" | "detect" | "watch" | "changes" | "reopen" | "hangUp" }
  | { readonly op: "open"; readonly grant: WantedGrant }
  | { readonly op: "close"; readonly service: string; readonly source: string }
  | { readonly op: "cut"; readonly source: string; readonly ports: readonly PortRange[] }
  | { readonly op: "serve"; readonly port: number }
  | { readonly op: "dial"; readonly address: string; readonly port: number; readonly localPort?: number }
  | { readonly op: "say"; readonly text: string };

/** An open grant in JSON. */
export interface ListedGrant {
  readonly service: string;
  readonly source: string;
  readonly sourcePort?: number;
  readonly remaining: number;
}

/** The backends as tests name them: "iptables" is what the machine's alternatives say. */
export type BackendName = "iptables" | "iptables-legacy" | "nftables" | "dry-run";

/**
 * One firewall backend in a process of its own inside a host's namespace; and, since a test needs it there too, a TCP
 * connection that stays up and speaks only when asked.
 */
export class RemoteFirewall {
  readonly process: Process;
  #last = 0;

  private constructor(process: Process) {
    this.process = process;
  }

  /** `prefix` is put before the command, for example setpriv and its options. */
  static async start(
    host: Host,
    backend: BackendName,
    options: RunOptions = {},
    prefix: readonly string[] = [],
  ): Promise<RemoteFirewall> {
    const program = fileURLToPath(new URL("firewall-main.ts", import.meta.url));
    const [, name = "", variant = ""] = /^(iptables|nftables|dry-run)(.*)$/.exec(backend) ?? [];
    const own: Argv = [process.execPath, program, name, variant];
    const [first, ...rest] = prefix;
    const argv: Argv = first === undefined ? own : [first, ...rest, ...own];
    const started = host.start(argv, { ...options, env: { ...COMPILED, ...options.env } });
    await started.waitFor(/^ready\n/);
    return new RemoteFirewall(started);
  }

  on(plan: GuardPlan): Promise<void> {
    return this.#ask({ op: "guardOn", plan }) as Promise<void>;
  }

  off(): Promise<void> {
    return this.#ask({ op: "guardOff" }) as Promise<void>;
  }

  state(plan: GuardPlan): Promise<GuardState> {
    return this.#ask({ op: "guardState", plan }) as Promise<GuardState>;
  }

  open(
    service: Service,
    source: string,
    lifetime: number,
    extra: { connections?: number; sourcePort?: number } = {},
  ): Promise<void> {
    const { connections = 0, sourcePort } = extra;
    const grant = { service, source, lifetime, connections, ...(sourcePort !== undefined && { sourcePort }) };
    return this.#ask({ op: "open", grant }) as Promise<void>;
  }

  close(service: Service, source: string): Promise<void> {
    return this.#ask({ op: "close", service: service.name, source }) as Promise<void>;
  }

  list(): Promise<ListedGrant[]> {
    return this.#ask({ op: "list" }) as Promise<ListedGrant[]>;
  }

  /** What the machine itself would be advised to use. */
  detect(): Promise<{ backend: string; reason: string }> {
    return this.#ask({ op: "detect" }) as Promise<{ backend: string; reason: string }>;
  }

  /** Counts changes from now on; see {@link changes}. */
  watch(): Promise<void> {
    return this.#ask({ op: "watch" }) as Promise<void>;
  }

  changes(): Promise<number> {
    return this.#ask({ op: "changes" }) as Promise<number>;
  }

  /** Puts the guard back whenever the watch finds it gone or damaged, as the daemon does. */
  keep(plan: GuardPlan): Promise<void> {
    return this.#ask({ op: "keep", plan }) as Promise<void>;
  }

  /** Lets go of every descriptor and opens the backend anew, as a restart does. */
  reopen(): Promise<void> {
    return this.#ask({ op: "reopen" }) as Promise<void>;
  }

  /** Cuts what a source has established to a service, as `revoke --kill` does. Gives how many connections there were. */
  cut(service: Service, source: string): Promise<number> {
    return this.#ask({ op: "cut", source, ports: service.ports }) as Promise<number>;
  }

  /** Echoes on a TCP port of every address. */
  serve(port: number): Promise<void> {
    return this.#ask({ op: "serve", port }) as Promise<void>;
  }

  /** Opens the connection that {@link say} uses. */
  dial(address: string, port: number, localPort?: number): Promise<void> {
    return this.#ask({
      op: "dial",
      address,
      port,
      ...(localPort !== undefined && { localPort }),
    }) as Promise<void>;
  }

  /** Sends text over the connection and gives what comes back; throws when nothing does within 20 s. */
  say(text: string): Promise<string> {
    return this.#ask({ op: "say", text }) as Promise<string>;
  }

  /** Resets the connection. */
  hangUp(): Promise<void> {
    return this.#ask({ op: "hangUp" }) as Promise<void>;
  }

  async kill(): Promise<void> {
    this.process.signal("SIGKILL");
    await this.process.exited;
  }

  async #ask(request: FirewallRequest): Promise<unknown> {
    const id = ++this.#last;
    this.process.write(`${JSON.stringify({ id, ...request })}\n`);
    const [, text = ""] = await this.process.waitFor(new RegExp(`^${id} (.*)$`, "m"));
    const { value, error } = JSON.parse(text) as {
      value?: unknown;
      error?: { code: string; message: string; hint?: string };
    };
    if (error !== undefined)
      throw Object.assign(new Error(error.message), { code: error.code, hint: error.hint });
    return value;
  }
}

/** A range of ports, `tcp/22` or `udp/10000-20000`. */
export function ports(text: string): PortRange {
  const [, protocol, first, last = first] = /^(tcp|udp)\/(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  return { protocol: protocol as "tcp" | "udp", first: Number(first) as Port, last: Number(last) as Port };
}

/** A service on these ports. */
export function service(name: string, ...list: string[]): Service {
  return {
    name: name as ServiceName,
    ports: list.map(ports),
    ttl: 30 as Seconds,
    maxTtl: 3600 as Seconds,
    secondFactor: false,
  };
}
