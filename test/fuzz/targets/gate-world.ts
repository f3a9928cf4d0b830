import { Counters, DROP_REASONS } from "../../../server/core/counters.ts";
import { DeviceTable } from "../../../server/core/device-table.ts";
import { Frame } from "../../../server/core/frame.ts";
import type { FrameView } from "../../../server/core/packet-source.ts";
import { ReplayWindow } from "../../../server/core/replay-window.ts";
import { SpentSteps } from "../../../server/core/spent-steps.ts";
import { Verifier } from "../../../server/core/verify.ts";
import { Gate, type GateParts, type Told } from "../../../server/gate.ts";
import type { Address } from "../../../shared/address.ts";
import { concat } from "../../../shared/bytes.ts";
import { TockError } from "../../../shared/errors.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import {
  address,
  bytesFrom,
  makeDevice,
  makeService,
  makeUser,
  NOW,
  SEED,
  SERVER_ID,
} from "../../support/core.ts";

interface Broken {
  readonly isJournalBroken: boolean;
  readonly isFirewallBroken: boolean;
}

/** The daemon's gate and all of its core, with a journal and a firewall that only count and can be made to fail. */
export class GateWorld {
  readonly #devices = new DeviceTable({
    serverId: SERVER_ID,
    skew: { past: 1, future: 1 },
    knock: undefined,
    seed: SEED,
  });
  readonly #verifier: Verifier;
  #broken: Broken = { isJournalBroken: false, isFirewallBroken: false };
  #gate: Gate;
  #counts = { opened: 0, journalled: 0, confirmed: 0 };

  constructor() {
    this.#devices.put(makeDevice(), false);
    this.#devices.advance(NOW);
    while (this.#devices.work(100) > 0);
    this.#verifier = new Verifier(this.#devices);
    this.#gate = this.#makeGate();
  }

  /** As after a first start. */
  reset(broken: Broken): void {
    this.#broken = broken;
    this.#counts = { opened: 0, journalled: 0, confirmed: 0 };
    this.#gate = this.#makeGate();
  }

  state(): Readonly<{ opened: number; journalled: number; confirmed: number }> {
    return { ...this.#counts };
  }

  /** A UDP datagram arrives at the SPA port. */
  send(payload: Uint8Array, source: Address): void {
    this.#gate.handle(frameOf(payload, source));
  }

  #makeGate(): Gate {
    const service = makeService();
    const policy = {
      users: new Map([["alice", makeUser({ address: "claimed" })]]),
      services: new Map([[service.name, service]]),
      rotateAfter: undefined,
      expireAfter: undefined,
    };
    const act = (name: "journalled" | "confirmed", isBroken: boolean): Result<void> => {
      if (isBroken) return err(new TockError("io", "out of order"));
      this.#counts[name]++;
      return ok(undefined);
    };
    const parts: GateParts = {
      now: () => NOW,
      random: (bytes) => bytesFrom("random", bytes),
      verifier: this.#verifier,
      knocks: undefined as never,
      replays: new ReplayWindow<Told>(new SpentSteps()),
      counters: new Counters(DROP_REASONS),
      firewall: {
        open: () => {
          const done = act("confirmed", this.#broken.isFirewallBroken);
          return done.ok ? ok("confirmed") : done;
        },
        close: () => act("confirmed", this.#broken.isFirewallBroken),
      },
      journal: () => act("journalled", this.#broken.isJournalBroken),
      policy: () => policy,
      secrets: { promote: () => undefined, rotate: () => "refused" },
      checkCode: () => "missing",
      grants: { add: () => undefined, close: () => act("confirmed", this.#broken.isFirewallBroken) },
      used: () => undefined,
      emit: (event) => {
        if (event.kind === "granted") this.#counts.opened++;
      },
      answer: () => undefined,
    };
    return new Gate(parts);
  }
}

const SERVER = { 4: address("192.0.2.1"), 6: address("2001:db8::1") } as const;

function frameOf(payload: Uint8Array, source: Address): FrameView {
  const { family } = source;
  const from = source.wire();
  const bytes = concat(from, SERVER[family].wire(), payload);
  return Object.assign(new Frame(), {
    bytes,
    data: new DataView(bytes.buffer),
    family,
    sourceAt: 0,
    destinationAt: from.length,
    sourcePort: 40_000,
    destinationPort: 62_201,
    payloadAt: 2 * from.length,
    payloadLength: payload.length,
  });
}
