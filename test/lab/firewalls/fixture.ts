import type { ServiceName } from "../../../shared/brand.ts";
import { Device } from "../device.ts";
import type { Family, Host } from "../host.ts";
import { Lab } from "../lab.ts";
import { FirewallMachine } from "./machine.ts";
import { everything } from "../ruleset.ts";
import { FAMILIES } from "../scene.ts";
import { type Backend, TockServer } from "../tock-server.ts";
import { eventually } from "../wait.ts";

/** A machine's own firewall, as its own programs set it up. */
export interface Fixture {
  readonly name: string;
  /** What `tockd init` would choose there. */
  readonly backend: Backend;
  /** The machine's `iptables` is iptables-legacy. */
  readonly legacy?: boolean;
  /** Lets tcp/22 (or `published`) and tcp/8080 in; tcp/2222 and tcp/9999 too unless `drops`. */
  readonly raise: (machine: FirewallMachine) => Promise<void>;
  /** What its administrator does after a change. */
  readonly reload: (machine: FirewallMachine) => Promise<unknown>;
  /** It lets nothing in but what it was told. What `tockd doctor` says of tcp/2222: the rule, and what to run. */
  readonly drops?: { readonly rule: RegExp; readonly advice: RegExp };
  /** A port that leads to a container or a host behind it, instead of tcp/22. */
  readonly published?: number;
}

export interface Finding {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  readonly message: string;
  readonly hint?: string;
  readonly run?: readonly string[];
}

/** A port of this machine, or the published one: Tock guards it, and the firewall lets it in. */
export const SSH = 22;
/** Guarded by Tock, and dropped by the firewall where it drops anything. */
export const DOOR = 2222;
/** The machine's other ports: let in, and dropped where it drops anything. */
export const OTHER = 8080;
export const REFUSED = 9999;

/** A table of iptables-legacy stays, empty, for as long as the kernel's module is loaded: nobody can take it out. */
const EMPTY_MANGLE = /\*mangle\n(?::[A-Z]+ ACCEPT \n)+COMMIT\n/g;

/** The state folder of a server that has a device, which one site after the other goes on with. */
export interface Known {
  readonly state: string;
  readonly device: Device;
}

export async function makeKnown(lab: Lab): Promise<Known> {
  const server = await TockServer.create(await lab.host("known"), { backend: "nftables" });
  return { state: server.state, device: new Device(await server.addDevice("alice/laptop", "--static")) };
}

/** A machine with its firewall, a device, a stranger, and Tock once it is installed. */
export class Site {
  readonly fixture: Fixture;
  readonly lab: Lab;
  readonly machine: FirewallMachine;
  readonly server: Host;
  readonly client: Host;
  readonly stranger: Host;
  #tock: TockServer | undefined;
  #device: Device | undefined;

  private constructor(fixture: Fixture, lab: Lab, machine: FirewallMachine, others: readonly [Host, Host]) {
    this.fixture = fixture;
    this.lab = lab;
    this.machine = machine;
    this.server = machine.host;
    [this.client, this.stranger] = others;
  }

  static async build(fixture: Fixture): Promise<Site> {
    const lab = await Lab.create();
    try {
      const [server, ...others] = await lab.hosts("server", "client", "stranger");
      const machine = await FirewallMachine.create(server, { legacy: fixture.legacy === true });
      const agent = await server.agent();
      for (const port of [SSH, OTHER]) await agent.listen("tcp", port);
      await fixture.raise(machine);
      // Docker has published these.
      if (!fixture.name.startsWith("Docker"))
        for (const port of [DOOR, REFUSED]) await agent.listen("tcp", port);
      return new Site(fixture, lab, machine, others);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get tock(): TockServer {
    if (this.#tock === undefined) throw new Error("Tock is not installed yet");
    return this.#tock;
  }

  /** The port that the firewall lets in and Tock guards. */
  get port(): number {
    return this.fixture.published ?? SSH;
  }

  /** Puts Tock in: its guard and its daemon, which knows the device. */
  async install({ state, device }: Known): Promise<void> {
    if (this.#tock !== undefined) return;
    const { backend } = this.fixture;
    const services = { ssh: { ports: [`tcp/${this.port}`] }, door: { ports: [`tcp/${DOOR}`] } };
    const setup = { backend, services, state, room: this.machine.pid };
    const tock = await TockServer.create(this.server, setup);
    await tock.start();
    this.#tock = tock;
    this.#device = device;
  }

  /** Whether a host gets through to a port of the server. */
  async sees(host: Host, family: Family, port: number): Promise<boolean> {
    const probed = await (await host.agent()).probe(this.server.at(family), port, { timeout: 250 });
    return probed === "open";
  }

  /** What a host sees of a port by both families: `open open` and so on. */
  async view(host: Host, port: number): Promise<string> {
    const seen = await Promise.all(FAMILIES.map((family) => this.sees(host, family, port)));
    return seen.map((isOpen) => (isOpen ? "open" : "shut")).join(" ");
  }

  /** Waits until a host sees a port so by both families. */
  async becomes(host: Host, port: number, view: string): Promise<void> {
    const what = `${host.name} sees ${port} ${view}`;
    await eventually(what, async () => (await this.view(host, port)) === view);
  }

  /** The client asks for a service, by both families. */
  async ask(service: "ssh" | "door", lifetime: number): Promise<void> {
    const agent = await this.client.agent();
    for (const family of FAMILIES) {
      const packet = this.#device?.packet({ service: service as ServiceName, lifetime }) ?? Buffer.alloc(0);
      await agent.udp({ address: this.server.at(family), port: 62_201 }, packet);
    }
  }

  /** Every rule and set, byte for byte but for counters and dates. */
  async rules(): Promise<string> {
    return (await everything(this.server)).replace(EMPTY_MANGLE, "");
  }

  /** What `tockd doctor` says of firewalls. */
  async doctor(): Promise<Finding[]> {
    const { stdout } = await this.tock.command("doctor", "--json");
    return (JSON.parse(stdout) as Finding[]).filter(({ name }) => name === "firewall");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tock?.stop();
    await this.machine[Symbol.asyncDispose]();
    await this.lab[Symbol.asyncDispose]();
  }
}
