import type { Device } from "../../lab/device.ts";
import type { Family, Host } from "../../lab/host.ts";
import { sleep } from "../../lab/wait.ts";
import { Flood } from "../lib/flood.ts";
import type { Network } from "../lib/network.ts";
import { type Other, startDoor, startFwknop, startKnockd } from "../lib/others.ts";
import { type Datagram, Probe } from "../lib/probe.ts";
import type { Programs } from "../lib/programs.ts";
import type { Group, Row, Scale } from "../lib/result.ts";
import { summarise } from "../lib/stats.ts";
import { TockDoor } from "../lib/tock-door.ts";

const SPA = 62_201;
const JUNK_RATE = 100_000;
/** Milliseconds between two contestants' turns. */
const BREATH = 20;

/** Whatever opens a port, in one form. */
interface Contestant {
  readonly name: string;
  readonly host: Host;
  readonly family: Family;
  readonly opens: number;
  /** Where junk for it goes. */
  readonly listens: number;
  datagrams(source: string): readonly Datagram[] | Promise<readonly Datagram[]>;
  /** How often it can be tried; a device's knock sequence works once a step. */
  readonly most: number;
}

/** From the client's sendto() of the (last) packet to the first SYN that gets a SYN-ACK. */
export async function measureKnocks(network: Network, programs: Programs, { quick }: Scale): Promise<Group> {
  const others = await startOthers(network.iptables, programs);
  const tocks = [
    await TockDoor.create(network.iptables, "iptables"),
    await TockDoor.create(network.nftables, "nftables"),
  ];
  for (const tock of tocks) await (await tock.host.agent()).listen("tcp", 22);
  const counts = quick ? { idle: 1, warm: 2, junk: 2 } : { idle: 12, warm: 60, junk: 40 };
  const contestants: Contestant[] = [
    ...others.map((other) => ({ ...other, host: network.iptables, family: 4 as const, most: 1_000 })),
  ];
  for (const tock of tocks) {
    contestants.push(...(await formsOf(tock, quick ? 3 : 24)));
    await tock.start();
  }
  const probe = new Probe(network.client, programs);
  const rows: Row[] = [];

  rows.push(
    ...(await inTurn("idle", contestants, counts.idle, quick ? 200 : 10_000, (each) =>
      tryOnce(probe, network, each),
    )),
  );
  rows.push(...(await inTurn("warm", contestants, counts.warm, 20, (each) => tryOnce(probe, network, each))));
  for (const each of contestants) {
    const flood = new Flood(network.stranger, programs, each.host.address.v4, each.listens);
    flood.start("tag", JUNK_RATE, quick ? 1 : 8);
    await sleep(200);
    rows.push(...(await inTurn("junk", [each], counts.junk, 20, (one) => tryOnce(probe, network, one))));
    await flood.end();
  }
  for (const tock of tocks) await tock.stop();
  return {
    id: "knock",
    rows,
    notes: [
      `idle: nothing for 10 s before each knock. warm: one knock after the other. junk: ${JUNK_RATE.toLocaleString("en")} datagrams/s of the right size with random content to the port that the program watches.`,
      "fwknopd: as Debian configures it; it looks at what came each 100 ms. fwknopd-1ms: the same with PCAP_LOOP_SLEEP 1000.",
      "knockd and the knock sequences of tockd: from the last datagram of the sequence.",
      "C: receives, decrypts, adds to an ipset, and does nothing else (test/bench/c/door.c).",
    ],
  };
}

async function startOthers(host: Host, programs: Programs): Promise<Other[]> {
  const fwknopd = await startFwknop(host, "fwknopd", { opens: 2201, listens: 62_211 });
  const fast = ["PCAP_LOOP_SLEEP 1000;"];
  const quicker = await startFwknop(host, "fwknopd-1ms", { opens: 2202, listens: 62_212 }, fast);
  const knockd = await startKnockd(host, 2203);
  const door = await startDoor(host, programs, { opens: 2204, listens: 62_214 });
  const all = [door, knockd, fwknopd, quicker];
  const agent = await host.agent();
  for (const { opens } of all) await agent.listen("tcp", opens);
  return all;
}

async function formsOf(tock: TockDoor, knockers: number): Promise<Contestant[]> {
  const device = await tock.device("alice/phone");
  const unused: Device[] = [];
  for (let n = 0; n < knockers; n++) unused.push(await tock.device(`alice/knock${n}`));
  const { host, backend } = tock;
  const packet = (): Buffer => device.packet({ replyWanted: true });
  const common = { host, opens: 22, listens: SPA, most: 1_000 };
  const one = (bytes: Uint8Array): Datagram[] => [{ port: SPA, delay: 0, bytes }];
  const spa = (): Datagram[] => one(packet());
  const stun = (): Datagram[] => one(device.stun(packet()));
  const knock = (): Datagram[] => {
    const knocker = unused.pop();
    if (knocker === undefined) throw new Error("every device has knocked");
    return knocker.sequence().map((port) => ({ port, delay: 1_000, bytes: new Uint8Array(1) }));
  };
  return [
    { ...common, name: `tockd ${backend} SPA`, family: 4, datagrams: spa },
    { ...common, name: `tockd ${backend} SPA IPv6`, family: 6, datagrams: spa },
    { ...common, name: `tockd ${backend} STUN`, family: 4, datagrams: stun },
    {
      ...common,
      name: `tockd ${backend} knock`,
      family: 4,
      most: Math.floor(knockers / 3),
      datagrams: knock,
    },
  ];
}

/** Undefined = it did not open within a second. */
async function tryOnce(probe: Probe, network: Network, each: Contestant): Promise<number | undefined> {
  const source = network.sources.next(each.family);
  const target = each.host.at(each.family);
  return probe.trial(source, target, each.opens, await each.datagrams(source));
}

/** Each contestant once, then each once more, so that what else the machine does troubles all of them alike. */
async function inTurn(
  when: string,
  contestants: readonly Contestant[],
  rounds: number,
  pause: number,
  attempt: (each: Contestant) => Promise<number | undefined>,
): Promise<Row[]> {
  const times = contestants.map(() => [] as (number | undefined)[]);
  for (let round = 0; round < rounds; round++) {
    await sleep(pause);
    for (let turn = 0; turn < contestants.length; turn++) {
      // Another one begins each round, and nobody pays for what the one before is still busy with.
      const index = (turn + round) % contestants.length;
      const each = contestants[index];
      if (each === undefined || round >= each.most) continue;
      times[index]?.push(await attempt(each));
      await sleep(BREATH);
    }
  }
  return contestants.map(({ name }, index) => {
    const all = times[index] ?? [];
    const good = all.filter((time) => time !== undefined);
    return { name, when, samples: summarise(good), lost: all.length - good.length };
  });
}
