import { must } from "../lab/exec.ts";
import { udpFrame } from "../lab/frame.ts";
import type { Device } from "../lab/device.ts";
import type { Family } from "../lab/host.ts";
import type { Process } from "../lab/process.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import type { Backend } from "../lab/tock-server.ts";
import { eventually } from "../lab/wait.ts";

/** One packet that asks for ssh, from an address that no other packet comes from, so that everything tells them apart. */
interface Sent {
  readonly packet: Buffer;
  readonly family: Family;
  readonly from: string;
  /** When it was made, and until when a grant for it can be open at most, in unix ms. */
  readonly at: number;
  readonly until: number;
  /** It was answered, so it is used up. */
  answered: boolean;
  /** Its answer said "opened", and no guard was taken off since. */
  opened: boolean;
}

/** How long a packet can be accepted at all, with room: older ones prove nothing when they are sent again. */
const MEMORY = 100_000;
const MOST_REPLAYS = 150;

/**
 * A daemon that is killed, and everything that is known about what it was sent. The client has 4 million IPv4 addresses and
 * a whole IPv6 network, so that each packet is for an address of its own.
 */
export class World {
  readonly scene: Scene;
  readonly device: Device;
  readonly #sent = new Map<string, Sent>();
  readonly #granted = new Map<string, Process>();
  /** What must be seen once the daemon is up again. */
  readonly afterwards: (() => Promise<void>)[] = [];
  #last = 65_536;
  /** A guard that was off is on again: answers of before that are read by the time that the load has ended count for nothing. */
  #isForgotten = false;
  /** What the guard is known to be; undefined where a command was cut short. */
  guard: "on" | "off" | undefined = "on";
  packets = 0;
  confirmed = 0;
  replays = 0;

  private constructor(scene: Scene, device: Device) {
    this.scene = scene;
    this.device = device;
  }

  static async create(backend: Backend): Promise<World> {
    const services = { ssh: { ports: ["tcp/22"], ttl: "1m", max_ttl: "10m" } };
    const scene = await Scene.set({ backend, services });
    const { client, server } = scene;
    const ip = (host: string, ...args: string[]): Promise<string> => must(["ip", "-n", host, ...args]);
    await ip(client.namespace, "route", "add", "local", "10.64.0.0/10", "dev", "lo");
    await ip(client.namespace, "-6", "route", "add", "local", "2001:db8:1::/64", "dev", "lo");
    await client.must(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind"]);
    await ip(server.namespace, "route", "add", "10.64.0.0/10", "via", client.address.v4);
    await ip(server.namespace, "-6", "route", "add", "2001:db8:1::/64", "via", client.address.v6);
    const device = await scene.device("alice/laptop");
    await scene.daemon.enrol(client, "alice/phone");
    await scene.daemon.stop();
    return new World(scene, device);
  }

  /** Sends packets, `width` at once, until it is over. `first` is called when one was opened. */
  async load(over: AbortSignal, width: number, first: () => void): Promise<void> {
    const agent = await this.scene.client.agent();
    const send = async (): Promise<void> => {
      while (!over.aborted) {
        const sent = this.#make();
        const from = { address: sent.from, port: 40_000 };
        const [reply] = await agent.udp(this.scene.spa(sent.family), sent.packet, {
          from,
          wait: 60,
          enough: 1,
        });
        if (reply === undefined) continue;
        sent.answered = true;
        const answer = this.device.answer(sent.packet, reply, sent.at);
        if (answer?.result !== "opened" || answer.lifetime === 0) continue;
        sent.opened = true;
        this.confirmed++;
        first();
      }
    };
    await Promise.all(Array.from({ length: width }, send));
  }

  /** 200 datagrams of no meaning. */
  async junk(): Promise<void> {
    const { stranger, server } = this.scene;
    const frames = Array.from({ length: 200 }, (_, index) =>
      udpFrame(
        { mac: stranger.mac, address: `192.0.2.${50 + (index % 100)}`, port: 1000 + index },
        { mac: server.mac, ...this.scene.spa(4) },
        Buffer.alloc(144, index),
      ),
    );
    await (await stranger.agent()).frames(stranger.device, frames);
  }

  /** While the daemon is dead: the kernel holds what was confirmed, and nothing that nobody asked for. */
  async lookWhileDead(): Promise<void> {
    this.#readLog();
    if (this.#isForgotten) for (const sent of this.#sent.values()) sent.opened = false;
    this.#isForgotten = false;
    if (this.guard !== "on") {
      // With the guard every grant went, also those that were told of while the command ran.
      for (const sent of this.#sent.values()) sent.opened = false;
      if (this.guard === "off") await this.#isOff();
      return;
    }
    const now = Date.now();
    const held = await this.#held();
    for (const address of held) {
      const sent = this.#sent.get(address);
      check(sent !== undefined, `${address} is let in, and never asked`);
      check(sent.until > now - 5_000, `${address} is let in, and its time is over`);
    }
    // Later than the kernel was asked, as that may have taken long.
    const then = Date.now();
    const expected = [...this.#sent.values()].filter(({ opened, until }) => opened && until > then + 3_000);
    for (const { from } of expected) check(held.has(from), `${from} was told that it is let in, and is not`);
    const last = expected.at(-1);
    const client = await this.scene.client.agent();
    const sees = async ({ from, family }: Sent): Promise<boolean> => {
      const options = { from: { address: from, port: 0 }, timeout: 2_000 };
      return (await client.probe(this.scene.server.at(family), 22, options)) === "open";
    };
    const [open, stranger] = await Promise.all([last === undefined || sees(last), this.#strangerSees()]);
    check(!stranger, "a stranger gets in");
    check(open, `${last?.from} was told that it is let in, and cannot connect`);
  }

  /** Starts the daemon. It must come up by itself, trust its journal, answer, and take nothing twice. */
  async start(): Promise<number> {
    const { daemon } = this.scene;
    const begun = performance.now();
    await daemon.start();
    const took = performance.now() - begun;
    const logged = daemon.log();
    check(!logged.some((line) => line["msg"] === "journal not trusted"), "the journal is not trusted");
    if (this.guard === "off") {
      await this.#isOff();
      check(!daemon.log().some(({ msg }) => msg === "guard"), "the guard was taken off, and was put back");
    }
    if (this.guard !== "on") {
      await daemon.must("guard", "on");
      this.guard = "on";
    } else
      check(
        logged.some(({ msg }) => msg === "guard"),
        "it came up without the guard",
      );
    await this.#replay();
    await this.answers();
    check(!(await this.#strangerSees()), "a stranger gets in");
    const held = await this.#held();
    for (const family of FAMILIES)
      check(!held.has(this.scene.stranger.at(family)), "a replay let a stranger in");
    this.#readLog();
    for (const look of this.afterwards.splice(0)) await look();
    return took;
  }

  /** Waits until the daemon answers a ping: all that came before it has been looked at by then. */
  async answers(): Promise<void> {
    const agent = await this.scene.client.agent();
    const pings = async (): Promise<boolean> => {
      const ping = this.device.packet({ type: "ping", service: undefined, replyWanted: true });
      return (await agent.udp(this.scene.spa(4), ping, { wait: 200, enough: 1 })).length === 1;
    };
    await eventually("it is back in service", pings, { within: 60_000 });
  }

  /** A guard that was off is on again. Grants of before are gone, and of those while it was off nothing is promised. */
  async guardIsBack(): Promise<void> {
    this.guard = "on";
    this.#isForgotten = true;
    check(!(await this.#strangerSees()), "the guard was put on, and is not there");
  }

  /** Whether a device's ping is answered. */
  async pings(device: Device): Promise<boolean> {
    const agent = await this.scene.client.agent();
    for (let tries = 0; tries < 10; tries++) {
      const ping = device.packet({ type: "ping", service: undefined, replyWanted: true });
      if ((await agent.udp(this.scene.spa(4), ping, { wait: 150, enough: 1 })).length === 1) return true;
      await this.answers();
    }
    return false;
  }

  #make(): Sent {
    const number = ++this.#last;
    const family = FAMILIES[number % 2] ?? 4;
    const from =
      family === 4
        ? `10.${64 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`
        : `2001:db8:1::${(number >> 16).toString(16)}:${(number & 0xffff).toString(16)}`;
    const lifetime = 60 + (number % 60);
    const at = Date.now();
    const packet = this.device.packet({ lifetime, replyWanted: true }, at);
    const sent = {
      packet,
      family,
      from,
      at,
      until: at + 1000 * (lifetime + 1),
      answered: false,
      opened: false,
    };
    for (const [address, { until }] of this.#sent) if (until + MEMORY < at) this.#sent.delete(address);
    this.#sent.set(from, sent);
    this.packets++;
    return sent;
  }

  /** Everything that is known to have been used, and can still be accepted, once more: by a stranger, and from where it came. */
  async #replay(): Promise<void> {
    const { stranger, client, server } = this.scene;
    const now = Date.now();
    const used = [...this.#sent.values()]
      .filter(({ from, at, answered }) => at > now - MEMORY && (answered || this.#granted.has(from)))
      .slice(-MOST_REPLAYS);
    const frames = (mac: string, source: (sent: Sent) => string): Buffer[] =>
      used.map((sent) =>
        udpFrame(
          { mac, address: source(sent), port: 40_001 },
          { mac: server.mac, ...this.scene.spa(sent.family) },
          sent.packet,
        ),
      );
    await (await stranger.agent()).frames(
      stranger.device,
      frames(stranger.mac, ({ family }) => stranger.at(family)),
    );
    await (await client.agent()).frames(
      client.device,
      frames(client.mac, ({ from }) => from),
    );
    this.replays += 2 * used.length;
  }

  /** A machine that is busy may answer late; a guard that is there lets nobody in however long one waits. */
  async #isOff(): Promise<void> {
    await eventually("the guard that was taken off lets a stranger in", () => this.#strangerSees());
  }

  async #strangerSees(): Promise<boolean> {
    const { stranger } = this.scene;
    const seen = await Promise.all(FAMILIES.map((family) => this.scene.sees(stranger, family, 22, 100)));
    return seen.includes(true);
  }

  /**
   * The addresses of the lab that the kernel lets in. Asked twice: a long list of an nft set skips elements where others, whose
   * time is over, are taken away while it is given.
   */
  async #held(): Promise<Set<string>> {
    const found = new Set<string>();
    for (let round = 0; round < 2; round++) {
      const list = this.scene.server.run(["sh", "-c", "ipset list; nft list ruleset"]);
      const all = (await list).stdout.match(/\b10\.\d+\.\d+\.\d+|\b192\.0\.2\.\d+|\b2001:db8:[0-9a-f:]+/g);
      for (const address of all ?? []) found.add(address);
    }
    return found;
  }

  /** What this daemon said that it opened: for each address once in all, and for nobody who did not ask. */
  #readLog(): void {
    const { process } = this.scene.daemon;
    const granted = this.scene.daemon.log().filter(({ msg }) => msg === "granted");
    const addresses = granted.map(({ allowed }) => String(allowed));
    check(
      new Set(addresses).size === addresses.length,
      `an address was let in twice: ${addresses.join(" ")}`,
    );
    for (const allowed of addresses) {
      const before = this.#granted.get(allowed);
      check(before === undefined || before === process, `${allowed} was let in by two daemons`);
      check(before !== undefined || this.#sent.has(allowed), `${allowed} was let in, and never asked`);
      this.#granted.set(allowed, process);
    }
  }

  get grants(): number {
    return this.#granted.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scene[Symbol.asyncDispose]();
  }
}

/** Throws where it is not so. */
export function check(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(what);
}
