import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TimeStep, timeStep } from "../../shared/brand.ts";
import { KeySchedule } from "../../shared/key-schedule.ts";
import { KNOCK_DEFAULTS } from "../../shared/constants.ts";
import { knockSequence } from "../../shared/knock-sequence.ts";
import { Secret } from "../../shared/secret.ts";
import { Capture } from "../lab/capture.ts";
import { tcpFrame } from "../lab/frame.ts";
import type { Host } from "../lab/host.ts";
import { Knocker } from "../lab/knocker.ts";
import { Lab } from "../lab/lab.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { sleep } from "../lab/wait.ts";

/** Steps that come and go while people knock: 200 of them, each as short as the machine can make it. */

const BOUNDARIES = 200;
const FIRST = 58_907_520;
const SYN = 2;
/** How many steps a sequence is good for, before and after its own: the engine's window of two and one. */
const PAST = 2;

const schedule = new KeySchedule(new Secret(new Uint8Array(32).fill(7)), new Uint8Array(16));
const sequence = (step: TimeStep): number[] =>
  knockSequence(KNOCK_DEFAULTS, (block) => schedule.derive("knock", step, block));

describe.each(BACKENDS)("%s", (backend) => {
  let lab: Lab;
  let server: Host;
  let client: Host;
  let stranger: Host;

  beforeAll(async () => {
    lab = await Lab.create();
    [server, client, stranger] = await lab.hosts("server", "client", "stranger");
    await (await server.agent()).listen("tcp", 22);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test(`every knock inside the window opens across ${BOUNDARIES} boundaries, and nobody else is ever let in`, async () => {
    const knocker = await Knocker.on(client, server, 200);
    const program = fileURLToPath(new URL("../lab/kernel-main.ts", import.meta.url));
    const argv = [process.execPath, program, backend, String(FIRST), String(BOUNDARIES)] as const;
    const engine = server.start(argv);
    await engine.waitFor(/^step /m);
    const stepNow = (): TimeStep => timeStep(Number(engine.stdout.match(/(?<=^step )\d+/gm)?.at(-1)));
    await using capture = await Capture.start(server, "tcp and src port 22");

    const running = new AbortController();
    const flood = (async () => {
      const agent = await stranger.agent();
      for (let port = 1_024; !running.signal.aborted; port += 50) {
        const from = { mac: stranger.mac, address: stranger.address.v4, port };
        const six = { mac: stranger.mac, address: stranger.address.v6, port };
        const frames = Array.from({ length: 50 }, (_, index) =>
          index % 2 === 0
            ? tcpFrame({ ...from, port: port + index }, side(server, 4), SYN)
            : tcpFrame({ ...six, port: port + index }, side(server, 6), SYN),
        );
        await agent.frames(stranger.device, frames, 2);
        if (port > 60_000) port = 1_024;
      }
    })();

    const missed: string[] = [];
    let inside = 0;
    let last = 0;
    for (let index = 0; index < 190 && !/^done/m.test(engine.stdout); ) {
      const step = stepNow();
      if (step === last) {
        await sleep(5);
        continue;
      }
      last = step;
      const source = knocker.next(index++ % 2 === 0 ? 4 : 6);
      await knocker.knock(source, sequence(step));
      // A machine that was too busy in between may have let the window pass: then it is no knock inside of it.
      const isInside = stepNow() - step < PAST;
      const isOpen = await knocker.sees(source);
      if (!isInside) continue;
      inside++;
      if (!isOpen) missed.push(`step ${step - FIRST} from ${source}`);
    }
    await engine.waitFor(/^done/m, 90_000);
    running.abort();
    await flood;

    expect(missed).toEqual([]);
    expect(inside).toBeGreaterThan(60);
    expect(engine.stdout).not.toContain("error");
    const leaks = (await capture.packets(stranger)).filter(({ target }) =>
      [stranger.address.v4, stranger.address.v6].includes(target ?? ""),
    );
    expect(leaks).toEqual([]);
  });
});

function side(host: Host, family: 4 | 6): { mac: string; address: string; port: number } {
  return { mac: host.mac, address: host.at(family), port: 22 };
}
