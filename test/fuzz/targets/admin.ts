import type { Handlers } from "../../../server/admin/methods.ts";
import { askedOf } from "../../../server/admin/server.ts";
import { isAsked } from "../../../server/event-desk.ts";
import { DryRunFirewall } from "../../../server/firewall/dry-run.ts";
import { GrantDesk } from "../../../server/grant-desk.ts";
import { OpenGrants } from "../../../server/open-grants.ts";
import { parseAddress } from "../../../shared/address.ts";
import { ascii } from "../../../shared/bytes.ts";
import { ok, unwrap } from "../../../shared/result.ts";
import { makeService, makeUser, NOW } from "../../support/core.ts";
import type { Target } from "../loop.ts";

/** A line on the daemon's sockets, with the desk for grants behind it. */

const service = makeService();

function adminTarget(input: Uint8Array): void {
  const firewall = new DryRunFirewall({ log: () => undefined, now: () => NOW });
  unwrap(firewall.guardOn({ services: [service], silent: [] }));
  const grants = new OpenGrants(firewall, { opened: () => undefined, ended: () => undefined }, () => 0);
  const desk = new GrantDesk({
    now: () => NOW,
    firewall,
    grants,
    open: (grant) => {
      const opened = firewall.open(grant);
      return opened.ok ? ok("confirmed") : opened;
    },
    users: () => [makeUser()],
    services: () => [service],
    cut: () => ok(0),
    emit: () => undefined,
  });
  unwrap(desk.grant({ user: "alice", service: "ssh", address: "192.0.2.7", seconds: 60 }));
  const handlers: Partial<Handlers> = {
    grants: () => desk.list(),
    grant: (params) => desk.grant(params),
    revoke: (params) => desk.revoke(params),
    events: (query) => {
      isAsked(query, { user: "alice", at: "2026-11-22T12:00:00.000Z" });
      return ok(undefined);
    },
  };
  const before = heldBy(firewall);
  const asked = askedOf(Buffer.from(input).toString("utf8"), handlers);
  if (!asked.ok) return;
  const { handler, params } = asked.value;
  if (!Object.values(handlers).includes(handler)) throw new Error("a method that nobody gave");
  let result: unknown;
  try {
    result = handler(params as never, undefined as never);
  } catch (error) {
    // Parameters of another form, which only who may do everything can send: an answer, and nothing has changed.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    if (heldBy(firewall) !== before) throw new Error("changed by half", { cause: error });
    return;
  }
  if (JSON.stringify(result).includes("\n")) throw new Error("an answer of two lines");
  const isOk = (result as { ok: boolean }).ok;
  if (!isOk && heldBy(firewall) !== before) throw new Error("refused, and changed");
  if (handler === handlers.grant && isOk) checkGranted(params as Record<string, unknown>, firewall);
  if (handler !== handlers.grant && handler !== handlers.revoke && heldBy(firewall) !== before)
    throw new Error("looked, and changed");
}

/** What was opened by hand is what was asked for. */
function checkGranted(
  { user, service: name, address }: Record<string, unknown>,
  firewall: DryRunFirewall,
): void {
  const held = unwrap(firewall.list());
  const source = unwrap(parseAddress(String(address))).text;
  if (user !== "alice" || name !== "ssh") throw new Error("opened for nobody");
  const mine = held.filter((grant) => grant.source.text === source);
  if (mine.length !== 1 || held.length > 2) throw new Error("opened something else");
  const remaining = mine[0]?.remaining ?? -1;
  if (!(remaining >= 0 && remaining <= 65_535_000)) throw new Error(`open for ${remaining} ms`);
}

function heldBy(firewall: DryRunFirewall): string {
  return JSON.stringify(
    unwrap(firewall.list()).map((grant) => [grant.service, grant.source.text, grant.remaining]),
  );
}

const call = (method: string, params: unknown): Uint8Array => ascii(JSON.stringify({ method, params }));
const WORDS = [
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "null",
  "true",
  "-1",
  "1e999",
  "65536",
  '"seconds":',
  '"target":"alice"',
  '"kill":true',
  "192.0.2.0/24",
  "::ffff:192.0.2.7",
  "[[[[",
  "\\u0000",
];

export const ADMIN_TARGETS: readonly Target[] = [
  {
    name: "admin",
    seeds: [
      call("grants", undefined),
      call("grant", { user: "alice", service: "ssh", address: "192.0.2.9", seconds: 30 }),
      call("grant", { user: "alice", service: "ssh", address: "2001:db8::9", seconds: null }),
      call("revoke", { target: "alice/by-hand", kill: false }),
      call("revoke", { target: "192.0.2.7", kill: true }),
      call("events", { since: 1, user: "alice", follow: false }),
    ],
    words: WORDS.map((word) => ascii(word)),
    run: adminTarget,
  },
];
