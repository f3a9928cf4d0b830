import { createHash } from "node:crypto";
import { type Address, maskAddress, Network, parseAddress, parseNetwork } from "../shared/address.ts";
import {
  type DeviceId,
  parseDeviceId,
  quote,
  seconds,
  type UnixMillis,
  unixMillis,
  userOf,
} from "../shared/brand.ts";
import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { GrantView, Methods } from "./admin/methods.ts";
import type { AuditEvent } from "./core/event.ts";
import type { Firewall, Opened } from "./core/firewall.ts";
import type { Grant, Service } from "./core/grant.ts";
import { grantOf } from "./core/policy.ts";
import type { User } from "./core/user.ts";
import type { OpenGrants } from "./open-grants.ts";

/** The device that a grant opened by hand is written down under: `alice/by-hand`. */
const BY_HAND = "by-hand";

/** Whether a grant was opened by hand, so that no device of this id is needed. */
export function isByHand(device: DeviceId): boolean {
  return device.endsWith(`/${BY_HAND}`);
}

/** 18 hours, the longest that the configuration allows. */
const MOST_SECONDS = 65_535;

export interface DeskParts {
  readonly now: () => UnixMillis;
  readonly firewall: Pick<Firewall, "list" | "close">;
  readonly grants: OpenGrants;
  readonly open: (grant: Grant) => Result<Opened>;
  readonly users: () => readonly User[];
  readonly services: () => readonly Service[];
  /** Cuts what an address has established to a service; gives how many connections that was. */
  readonly cut: (from: Network, service: Service) => Result<number>;
  readonly emit: (event: AuditEvent) => void;
}

/** Where people look at grants, end them and make them. */
export class GrantDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** Every grant that the kernel holds, with its owner where that is known: one line for each owner. */
  list(): Result<GrantView[]> {
    const { firewall, grants } = this.#parts;
    const held = firewall.list();
    if (!held.ok) return held;
    const known = grants.list();
    const views = held.value.flatMap(({ service, source, prefix, sourcePort, remaining }) => {
      const address = placeText(source, prefix);
      const owners = known.filter(
        (grant) =>
          grant.service.name === service &&
          placeText(grant.source, grant.prefix) === address &&
          grant.sourcePort === sourcePort,
      );
      const what = {
        service,
        address,
        sourcePort: sourcePort ?? null,
        secondsLeft: Math.ceil(remaining / 1000),
      };
      const devices = new Set(owners.map(({ device }) => device));
      return owners.length === 0
        ? [viewOf(undefined, what)]
        : [...devices].map((device) => viewOf(device, what));
    });
    return ok(views.sort((a, b) => a.secondsLeft - b.secondsLeft));
  }

  /** Ends the grants of one device, user or address, or a single one by its id. */
  revoke({ target, kill }: Methods["revoke"]["params"]): Result<Methods["revoke"]["value"]> {
    const listed = this.list();
    if (!listed.ok) return listed;
    const address = parseAddress(target);
    const isMeant = (view: GrantView): boolean =>
      [view.id, view.device, view.user, view.address].includes(target) ||
      (address.ok && networkOf(view)?.contains(address.value) === true);
    const meant = listed.value.filter(isMeant);
    if (meant.length === 0 && !(kill && address.ok)) return err(this.#unknown(target, listed.value));
    const { grants } = this.#parts;
    const own = (grant: Grant): boolean =>
      meant.some((view) => view.device === grant.device && isSame(view, grant));
    for (const ended of grants.endWhere(own)) if (!ended.ok) return ended;
    for (const view of meant.filter(({ device }) => device === null)) {
      const closed = this.#closeUnowned(view);
      if (!closed.ok) return closed;
    }
    const cut = kill ? this.#cut(meant, address.ok ? address.value : undefined) : ok(0);
    for (const { device, service, address } of meant) {
      const allowed = networkOf({ address })?.address;
      const name = this.#parts.services().find((each) => each.name === service)?.name;
      if (allowed === undefined || name === undefined) continue;
      this.#parts.emit({
        kind: "ended",
        device: device === null ? undefined : (device as DeviceId),
        service: name,
        allowed,
        why: "command",
        ...(kill && cut.ok && { cut: cut.value }),
      });
    }
    return cut.ok ? ok({ ended: meant, cut: cut.value }) : cut;
  }

  /** Lets an address in on behalf of a user. Whoever asks answers for it: the policy is not asked. */
  grant(asked: Methods["grant"]["params"]): Result<Methods["grant"]["value"]> {
    const { users, services, open, grants, now, emit } = this.#parts;
    const user = users().find(({ name }) => name === asked.user);
    if (user === undefined) {
      const hint = `users: ${
        users()
          .map(({ name }) => name)
          .join(", ") || "none"
      }`;
      return err(new TockError("not-found", `grant: there is no user ${quote(asked.user)}`, hint));
    }
    const service = services().find(({ name }) => name === asked.service);
    if (service === undefined) {
      const hint = `services: ${services()
        .map(({ name }) => name)
        .join(", ")}`;
      return err(new TockError("not-found", `grant: there is no service ${quote(asked.service)}`, hint));
    }
    const source = parseAddress(asked.address);
    if (!source.ok) return source;
    const device = parseDeviceId(`${user.name}/${BY_HAND}`);
    if (!device.ok) return device;
    const lifetime = seconds(Math.min(asked.seconds ?? service.ttl, MOST_SECONDS));
    const start = performance.now();
    const at = now();
    const grant = grantOf({
      device: device.value,
      service,
      source: source.value,
      lifetime,
      expiresAt: unixMillis(at + lifetime * 1000),
      connections: 0,
      prefix: undefined,
      sourcePort: undefined,
    });
    const opened = open(grant);
    if (!opened.ok) return opened;
    grants.add(grant);
    emit({
      kind: "granted",
      device: device.value,
      source: source.value,
      via: "command",
      service: service.name,
      allowed: source.value,
      lifetime,
      capped: false,
      ...(opened.value === "unguarded" && { unguarded: true }),
      micros: Math.round((performance.now() - start) * 1000),
    });
    return ok({ lifetime });
  }

  #closeUnowned({ service, address }: GrantView): Result<void> {
    const source = networkOf({ address })?.address;
    const name = this.#parts.services().find((each) => each.name === service)?.name;
    return source !== undefined && name !== undefined
      ? this.#parts.firewall.close(name, source)
      : ok(undefined);
  }

  /** An address alone is cut off from every service, also where its grants have ended already. */
  #cut(meant: readonly GrantView[], address: Address | undefined): Result<number> {
    let cut = 0;
    for (const service of this.#parts.services()) {
      const sources = address === undefined ? sourcesOf(meant, service) : [single(address)];
      for (const source of sources) {
        const done = this.#parts.cut(source, service);
        if (!done.ok) return done;
        cut += done.value;
      }
    }
    return ok(cut);
  }

  #unknown(target: string, open: readonly GrantView[]): TockError {
    const hint =
      open.length === 0
        ? "no grant is open; to cut established connections: tockd revoke ADDRESS --kill"
        : "tockd grants lists what is open, by id, device, user and address";
    return new TockError("not-found", `revoke: nothing is open for ${quote(target)}`, hint);
  }
}

function viewOf(device: DeviceId | undefined, what: Omit<GrantView, "id" | "device" | "user">): GrantView {
  const text = `${device ?? ""} ${what.service} ${what.address} ${what.sourcePort ?? ""}`;
  return {
    id: createHash("sha256").update(text).digest("hex").slice(0, 8),
    device: device ?? null,
    user: device === undefined ? null : userOf(device),
    ...what,
  };
}

function isSame(view: GrantView, grant: Grant): boolean {
  return (
    view.service === grant.service.name &&
    view.address === placeText(grant.source, grant.prefix) &&
    view.sourcePort === (grant.sourcePort ?? null)
  );
}

/** An address, or a network by its first address and prefix length. */
function placeText(source: Address, prefix: number | undefined): string {
  return prefix === undefined ? source.text : `${maskAddress(source, prefix).text}/${prefix}`;
}

function single(address: Address): Network {
  return new Network(address, address.family === 4 ? 32 : 128);
}

function networkOf({ address }: Pick<GrantView, "address">): Network | undefined {
  const parsed = parseNetwork(address);
  return parsed.ok ? parsed.value : undefined;
}

function sourcesOf(views: readonly GrantView[], service: Service): Network[] {
  const texts = new Set(views.filter((view) => view.service === service.name).map(({ address }) => address));
  return [...texts].flatMap((address) => networkOf({ address }) ?? []);
}
