import { STEP_MILLIS } from "../shared/constants.ts";
import { Capture } from "../test/lab/capture.ts";
import type { Output } from "../test/lab/exec.ts";
import type { Host } from "../test/lab/host.ts";
import { Lab } from "../test/lab/lab.ts";
import type { Packet } from "../test/lab/pcap.ts";
import { tock } from "../test/lab/programs.ts";
import { SshServer, type SshSession } from "../test/lab/sshd.ts";
import { TockServer } from "../test/lab/tock-server.ts";
import { BrokenPromise, Stage } from "./demo/stage.ts";

/**
 * `npm run demo`: the main job, shown on real packets, a real firewall, a real sshd. Everything happens in network
 * namespaces made for it; each claim is checked as it is made, and everything is removed at the end, also on Ctrl-C.
 */
const LIFETIME = 30;

interface Play {
  readonly stage: Stage;
  readonly server: Host;
  readonly laptop: Host;
  readonly stranger: Host;
  readonly sshd: SshServer;
  readonly address: string;
}

async function setUp(lab: Lab, stage: Stage): Promise<Play> {
  stage.title("Tock: a port that does not exist until the right device asks");
  const [server, laptop, stranger] = await lab.hosts("server", "laptop", "stranger");
  const address = server.address.v4;
  stage.say(`On this machine, in network namespaces of their own: server (${address}) with a real sshd and
    tockd, laptop (${laptop.address.v4}) enrolled as one device, and a stranger (${stranger.address.v4}) who has
    nothing. Your own network and firewall are not touched.`);
  const sshd = await SshServer.start(server);
  const daemon = await TockServer.create(server);
  await daemon.start();
  await daemon.enrol(laptop, "alice/laptop");
  return { stage, server, laptop, stranger, sshd, address };
}

/** Whether port 22 answers a TCP connect. */
async function isOpen({ server }: Play, from: Host, family: 4 | 6 = 4): Promise<boolean> {
  return (await (await from.agent()).probe(server.at(family), 22)) === "open";
}

function scan({ stage, laptop, address }: Play): Promise<Output> {
  return stage.run(
    laptop,
    `nmap -n -Pn -p 22 ${address}`,
    ["nmap", "-n", "-Pn", "-p", "22", address],
    /^PORT|^22/,
  );
}

async function nothingThere(play: Play): Promise<void> {
  play.stage.scene("There is nothing to see");
  const { stdout } = await scan(play);
  play.stage.claim(
    /22\/tcp filtered/.test(stdout),
    "sshd is running, yet its port does not answer, not even with a refusal",
  );
}

/** Gives the packet that opened the port, as it was on the wire, and an ssh session that stays. */
async function onePacket(play: Play): Promise<{ sent: Packet; session: SshSession }> {
  const { stage, server, laptop, stranger, sshd, address } = play;
  stage.scene("One packet opens it, for the address that sent it");
  await using capture = await Capture.start(server, `udp and dst host ${address}`);
  const { code } = await stage.run(laptop, "tock open server", tock("open", "server"));
  stage.claim(code === 0, "the server confirmed it, in an answer that only this device can read");
  stage.claim(
    (await isOpen(play, laptop)) && (await isOpen(play, laptop, 6)),
    "port 22 answers the laptop, over IPv4 and IPv6",
  );
  stage.claim(!(await isOpen(play, stranger)), "it does not answer the stranger");
  const command = "echo hello from $(hostname -I)";
  const ssh = ["ssh", ...sshd.options(10), `root@${address}`, command] as const;
  const login = await stage.run(laptop, `ssh root@${address} '${command}'`, ssh);
  stage.claim(login.stdout.startsWith("hello from"), "ssh logged in and ran a command");
  const session = await sshd.session(laptop, address);
  stage.say("A second ssh session stays logged in; it is asked again at the end.");
  const [sent] = await capture.packets(laptop);
  if (sent === undefined) throw new BrokenPromise("the packet was not seen on the wire");
  return { sent, session };
}

async function replays(play: Play, sent: Packet): Promise<void> {
  const { stage, server, laptop, stranger, address } = play;
  stage.scene("Whoever recorded that packet has nothing");
  await stage.run(laptop, "tock close server", tock("close", "server"));
  stage.claim(!(await isOpen(play, laptop)), "the laptop shut its door before the time");
  stage.say(`Now the ${sent.payload.length} bytes that tcpdump saw are sent again, from the laptop's own address
    and from the stranger's.`);
  await using capture = await Capture.start(server);
  for (const host of [laptop, stranger]) {
    await (await host.agent()).udp({ address, port: sent.targetPort ?? 0 }, sent.payload, { wait: 500 });
  }
  stage.claim(
    (await capture.sentByHost(laptop)).length === 0,
    "silence: the server sent not a single packet",
  );
  stage.claim(
    !(await isOpen(play, laptop)) && !(await isOpen(play, stranger)),
    "and nothing opened, for either",
  );
}

async function nextStep(stage: Stage, roomNeeded = STEP_MILLIS): Promise<void> {
  const left = STEP_MILLIS - (Date.now() % STEP_MILLIS);
  if (left >= roomNeeded) return;
  const begins = Date.now() + left;
  await stage.wait("the next sequence begins", left / 1000 + 5, () => Date.now() >= begins);
}

/** Gives the moment (on the clock that never jumps) at which the port was last opened. */
async function knocks(play: Play): Promise<number> {
  const { stage, laptop, stranger } = play;
  stage.scene("A knock sequence opens it too: another one every 30 seconds");
  await nextStep(stage, 6_000);
  await stage.run(laptop, "tock sequence server", tock("sequence", "server"));
  await stage.run(laptop, "tock knock server", tock("knock", "server"));
  await stage.wait("the door opens", 5, () => isOpen(play, laptop));
  stage.claim(
    !(await isOpen(play, stranger)),
    "four connection attempts at these ports opened it, for the laptop alone",
  );
  await laptop.must(tock("close", "server"));
  stage.say(
    "It needs no program of ours. The laptop shuts its door, and plain nmap sends the next sequence:",
  );
  await nextStep(stage);
  stage.claim(!(await isOpen(play, laptop)), "port 22 is silent");
  const lines = await stage.run(laptop, "tock sequence server --nmap", tock("sequence", "server", "--nmap"));
  await laptop.run(["sh", "-c", lines.stdout]);
  const opened = performance.now();
  await stage.wait("the door opens", 5, () => isOpen(play, laptop));
  stage.claim(
    !(await isOpen(play, stranger)),
    "these lines, run as they stand, opened it, again for the laptop alone",
  );
  return opened;
}

async function timeIsUp(play: Play, session: SshSession, opened: number): Promise<void> {
  const { stage, laptop } = play;
  stage.scene("Thirty seconds later it is shut, and who is in stays in");
  await stage.wait("the kernel's timer runs out", LIFETIME + 10, async () => !(await isOpen(play, laptop)));
  const seconds = (performance.now() - opened) / 1000;
  const { stdout } = await scan(play);
  stage.claim(
    /22\/tcp filtered/.test(stdout) && seconds > LIFETIME - 3,
    `${seconds.toFixed(0)} seconds after nmap opened it, port 22 is filtered again`,
  );
  await session.ask("still here");
  stage.claim(session.process.running, "the ssh session of scene 2 still answers");
}

async function main(): Promise<number> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    console.error("tock: error: the demo makes network namespaces, which needs Linux and root");
    console.error("tock: hint: sudo npm run demo");
    return 1;
  }
  const stage = new Stage(process.stdout);
  try {
    await using lab = await Lab.create();
    const play = await setUp(lab, stage);
    await nothingThere(play);
    const { sent, session } = await onePacket(play);
    await replays(play, sent);
    const opened = await knocks(play);
    await timeIsUp(play, session, opened);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof BrokenPromise) stage.failed(message);
    else console.error(`tock: error: demo: ${message}`);
    return 1;
  }
  stage.title("All of it held. The namespaces and everything in them are gone.\n");
  return 0;
}

// What the lab made is removed as the process exits, whatever ends it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    console.error("\nstopped; everything is removed");
    process.exit(130);
  });
}
process.exit(await main());
