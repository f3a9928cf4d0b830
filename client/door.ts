import { createServer } from "node:net";
import type { Address } from "../shared/address.ts";
import type { Port } from "../shared/brand.ts";
import { ask } from "./ask.ts";
import { askWithCode } from "./otp.ts";
import { clockError, failure, isDone, warnOfClock } from "./report.ts";
import type { Answered, Target } from "./send-spa.ts";
import type { Service } from "./service-port.ts";
import type { Manner, Outcome, Session } from "./session.ts";
import type { Wish } from "./spa-packet.ts";
import type { Ui } from "./ui.ts";

/** A service that was opened for a connection which this very program makes. */
export interface Door {
  /** Undefined where the server never answers: whether it is open shows when the connection is made. */
  readonly outcome: Outcome | undefined;
  /** The addresses to connect to. */
  readonly addresses: readonly Address[];
  /** The port that the grant is limited to, so that nobody else behind the same address gets in. */
  readonly localPort: Port | undefined;
}

/** What is to be opened, and how. */
export interface DoorPlan {
  readonly session: Session;
  readonly service: Service;
  readonly targets: readonly Target[];
  readonly manner: Manner;
  readonly otp: number | undefined;
}

/** A connection takes the first address that is open, and does not wait long for the others. */
const GRACE_MS = 50;

/** Opens a service. Throws when that is refused or not answered; where no answer can be hoped for, it just sends. */
export async function openDoor(plan: DoorPlan, ui: Ui): Promise<Door> {
  const { session, targets } = plan;
  const manner = hasty(plan.manner);
  const outcome = await askWithCode(session, wishOf(plan, undefined), targets, manner);
  if (!manner.replies)
    return { outcome: undefined, addresses: targets.map(({ address }) => address), localPort: undefined };
  return doorOf(session, outcome, undefined, ui);
}

/**
 * The same for the port alone that the connection will come from. The packet is sent from that port: where the reply
 * says that the server saw another, a NAT stands between, which would change the connection's port as well. Then the
 * service is opened for every port.
 */
export async function openBoundDoor(plan: DoorPlan, ui: Ui): Promise<Door> {
  const { session, targets, otp } = plan;
  const fromPort = await freePort();
  const manner = { ...hasty(plan.manner), localPort: fromPort };
  // A code works once, so whether there is a NAT must be known before it is spent.
  const first = otp === undefined ? wishOf(plan, fromPort) : ({ type: "ping" } as const);
  const outcome = await ask(session, first, targets, manner);
  const answers = outcome.deliveries.filter((delivery) => delivery.state === "answered");
  const isBusy = outcome.deliveries.every((delivery) => delivery.state === "unsent");
  const isChanged = isDone(outcome) && answers.some(({ reply }) => reply.sourcePort !== fromPort);
  if (isChanged) ui.warn("a NAT changes source ports, so this opens for others behind the same address too");
  if (isBusy || isChanged) return openDoor(plan, ui);
  if (outcome.best?.reply.result === "second-factor") return openDoor(plan, ui);
  if (otp === undefined || !isDone(outcome)) return doorOf(session, outcome, fromPort, ui);
  return doorOf(session, await askWithCode(session, wishOf(plan, fromPort), targets, manner), fromPort, ui);
}

function hasty(manner: Manner): Manner {
  return { ...manner, timing: { ...manner.timing, grace: GRACE_MS } };
}

function wishOf({ service, otp }: DoorPlan, fromPort: Port | undefined): Wish {
  return { type: "open", service: service.name, otp, fromPort };
}

function doorOf(session: Session, outcome: Outcome, localPort: Port | undefined, ui: Ui): Door {
  if (!isDone(outcome)) throw failure(outcome, session);
  warnOfClock(ui, clockError(outcome));
  const opened = outcome.deliveries.filter(
    (delivery): delivery is Answered => delivery.state === "answered" && delivery.done,
  );
  return { outcome, addresses: opened.map(({ target }) => target.address), localPort };
}

/** A port that nothing uses now, for a connection of ours. */
async function freePort(): Promise<Port> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, exclusive: true }, () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port as Port));
    });
  });
}
