import type { Server } from "node:net";
import { Network, parseAddress } from "../shared/address.ts";
import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import {
  type Handlers,
  LOOKING,
  type Methods,
  type Session,
  type Status,
  viewSocket,
} from "./admin/methods.ts";
import { serveAdmin } from "./admin/server.ts";
import type { Audit } from "./audit.ts";
import type { Settings } from "./config/settings.ts";
import type { AuditEvent } from "./core/event.ts";
import { sendEvents } from "./event-desk.ts";
import { portSentTo } from "./firewall/connections.ts";
import type { GrantDesk } from "./grant-desk.ts";
import type { GuardKeeper } from "./guard-keeper.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { AuditTrail } from "./store/audit-trail.ts";
import { groupId } from "./sys/accounts.ts";

/** The group whose members may look. */
const GROUP = "tock";
/** As long as a sockaddr_un can be. */
const MOST_PATH = 107;
/** Grants that are remembered while the guard is on trial. */
const MOST_NOTED = 1_000;

export interface ControlParts {
  readonly settings: () => Settings;
  readonly guard: GuardKeeper;
  readonly desk: GrantDesk;
  readonly audit: Audit;
  readonly trail: AuditTrail;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly status: () => Result<Status>;
  readonly reload: () => Promise<Methods["reload"]["value"]>;
  readonly devicesChanged: () => Result<void>;
}

/** What commands can ask of the running daemon, by its two sockets. */
export class LiveControl {
  readonly #parts: ControlParts;
  /** What was let in since the guard went on trial: who confirms must have come that way. */
  readonly #letIn: { readonly service: string; readonly from: Network }[] = [];

  constructor(parts: ControlParts) {
    this.#parts = parts;
    parts.audit.listen((event) => this.#note(event));
  }

  /** Gives the sockets. That for looking may be missing: the log says why. */
  async serve(): Promise<Result<Server[]>> {
    const { settings, log } = this.#parts;
    const { socket } = settings().server;
    const handlers = this.#handlers();
    const main = await serveAdmin(socket, {}, handlers);
    if (!main.ok) return main;
    const path = viewSocket(socket);
    if (Buffer.byteLength(path) > MOST_PATH) {
      log.warn({ path }, "no socket for looking: its path is too long");
      return ok([main.value]);
    }
    const looking = Object.fromEntries(LOOKING.map((method) => [method, handlers[method]]));
    const group = groupId(GROUP);
    let view = await serveAdmin(path, { group }, looking);
    if (!view.ok && group !== undefined) {
      log.warn({ reason: view.error.message }, `group ${GROUP} cannot look: only the daemon's owner can`);
      view = await serveAdmin(path, {}, looking);
    }
    if (!view.ok) log.warn({ reason: view.error.message }, "no socket for looking");
    return ok(view.ok ? [main.value, view.value] : [main.value]);
  }

  #handlers(): Handlers {
    const { guard, desk, audit, trail, metrics, settings, status, reload, devicesChanged } = this.#parts;
    return {
      status,
      grants: () => desk.list(),
      events: async (query, stream) => {
        await sendEvents(settings().server.state, trail, (listener) => audit.listen(listener), query, stream);
        return ok(undefined);
      },
      metrics: async () => ok(await metrics.text()),
      "guard-on": () => guard.on(),
      "guard-off": () => guard.off(),
      "guard-trial": ({ seconds, session }) => this.#trial(seconds, session),
      "guard-confirm": ({ session }) => this.#confirm(session),
      revoke: (params) => desk.revoke(params),
      grant: (params) => desk.grant(params),
      reload: async () => ok(await reload()),
      "devices-changed": devicesChanged,
    };
  }

  #trial(seconds: number, session: Session | null): Result<void> {
    const { guard } = this.#parts;
    this.#letIn.length = 0;
    const from = { client: session?.client, clientPort: session?.clientPort };
    return guard.onTrial(seconds, from, () => this.#survives(session));
  }

  /** Whether the session goes on with the guard that is on now. */
  #survives(session: Session | null): Result<void> {
    if (session === null) return ok(undefined);
    const port = sentTo(session);
    const isGuarded = this.#servicesAt(session.serverPort).length > 0;
    if (port.ok && (port.value !== undefined || !isGuarded)) return ok(undefined);
    const why = port.ok ? "conntrack does not know it" : port.error.message;
    const hint = "is conntrack switched off for it (raw table, NOTRACK)? tockd doctor looks at that";
    const message = `guard: this session would not survive: ${why}; the guard is as it was before`;
    return err(new TockError("firewall", message, hint));
  }

  #servicesAt(port: number): Settings["services"] {
    return this.#parts
      .settings()
      .services.filter(({ ports }) =>
        ports.some(({ protocol, first, last }) => protocol === "tcp" && first <= port && port <= last),
      );
  }

  #confirm(session: Session | null): Result<void> {
    const { guard } = this.#parts;
    const { trial } = guard;
    if (trial === undefined || session === null) return guard.confirm();
    const refuse = (why: string, or = ""): Result<never> =>
      err(
        new TockError(
          "refused",
          `guard: not confirmed: ${why}`,
          `in another terminal: tock open, then log in anew and run tockd guard confirm there; ${guard.trialSeconds ?? 0} s are left${or}`,
        ),
      );
    const isSame = session.client === trial.client && session.clientPort === trial.clientPort;
    if (isSame) return refuse("this is the session that asked for the guard, which passes in any case");
    if (session.since !== null && session.since < trial.start * 1000) {
      return refuse("this session is older than the guard");
    }
    const client = parseAddress(session.client);
    const sent = sentTo(session);
    const port = (sent.ok ? sent.value : undefined) ?? session.serverPort;
    const services = this.#servicesAt(port);
    if (services.length === 0) {
      const or = "; where this is the way in that counts: tockd guard confirm --force";
      return refuse(`port ${port} is not protected, so it proves nothing`, or);
    }
    const isLetIn =
      client.ok &&
      this.#letIn.some(
        ({ service, from }) => services.some(({ name }) => name === service) && from.contains(client.value),
      );
    if (!isLetIn) return refuse(`no device has let ${session.client} in since the guard is on`);
    return guard.confirm();
  }

  #note(event: AuditEvent): void {
    if (event.kind === "granted" && event.via !== "command" && this.#parts.guard.trial !== undefined) {
      const { service, allowed, prefix } = event;
      this.#letIn.push({ service, from: new Network(allowed, prefix ?? (allowed.family === 4 ? 32 : 128)) });
      if (this.#letIn.length > MOST_NOTED) this.#letIn.shift();
    }
  }
}

/** The port that the session was opened to: not sshd's own where rules redirect it. Undefined = conntrack does not know it. */
function sentTo({ client, clientPort, server, serverPort }: Session): Result<number | undefined> {
  const [from, at] = [parseAddress(client), parseAddress(server)];
  if (!from.ok || !at.ok) return ok(undefined);
  return portSentTo({ address: from.value, port: clientPort }, { address: at.value, port: serverPort });
}
