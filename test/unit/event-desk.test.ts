import { expect, onTestFinished, test } from "vitest";
import type { Stream } from "../../server/admin/methods.ts";
import { Audit } from "../../server/audit.ts";
import { MOST_EARLY, sendEvents } from "../../server/event-desk.ts";
import type { Log } from "../../server/log.ts";
import { AuditTrail } from "../../server/store/audit-trail.ts";
import { address, deviceId, serviceName } from "../support/core.ts";
import { NOON, scratch } from "../support/tockd.ts";

const log = { info: () => undefined, warn: () => undefined } as unknown as Log;
const QUERY = { follow: true, user: undefined, since: undefined };

/** A caller that reads the first line when it is told to, and the rest at once. */
class Caller implements Stream {
  readonly got: string[] = [];
  readonly #reads = Promise.withResolvers<void>();
  readonly #left = Promise.withResolvers<void>();
  #isGone = false;
  readonly closed = this.#left.promise;
  readonly send = (value: unknown): boolean => {
    this.got.push((value as { event: { device: string } }).event.device);
    return true;
  };
  readonly drained = (): Promise<void> => Promise.race([this.#reads.promise, this.closed]);
  readonly gone = (): boolean => this.#isGone;
  readonly leave = (): void => {
    this.#isGone = true;
    this.#left.resolve();
  };
  read(): void {
    this.#reads.resolve();
  }
}

/** A follower that has got the trail's one line and does not read on. */
async function follow(): Promise<{ caller: Caller; end: Promise<void>; grant: (n: number) => void }> {
  const folder = scratch();
  const trail = new AuditTrail({ folder, now: () => NOON, tell: () => undefined });
  onTestFinished(() => trail.close());
  trail.append({ kind: "closed", device: "alice/old" });
  await trail.flush();
  const audit = new Audit(log);
  const caller = new Caller();
  const end = sendEvents(folder, trail, (listener) => audit.listen(listener), QUERY, caller);
  await expect.poll(() => caller.got).toEqual(["alice/old"]);
  const grant = (n: number): void => {
    const at = { source: address("192.0.2.7"), allowed: address("192.0.2.7"), service: serviceName("ssh") };
    audit.emit({ kind: "closed", device: deviceId(`alice/${n}`), ...at });
  };
  return { caller, end, grant };
}

test("what comes while a follower gets the trail follows it, in order", async () => {
  const { caller, end, grant } = await follow();
  for (let n = 0; n < MOST_EARLY; n++) grant(n);
  expect(caller.gone()).toBe(false);
  caller.read();
  await expect.poll(() => caller.got.length).toBe(MOST_EARLY + 1);
  grant(MOST_EARLY);
  caller.leave();
  await end;
  const numbers = Array.from({ length: MOST_EARLY + 1 }, (_, n) => `alice/${n}`);
  expect(caller.got).toEqual(["alice/old", ...numbers]);
});

test("a follower that does not read is let go when too many events wait for it", async () => {
  const { caller, end, grant } = await follow();
  for (let n = 0; n <= MOST_EARLY; n++) grant(n);
  expect(caller.gone()).toBe(true);
  await end;
  expect(caller.got).toEqual(["alice/old"]);
});
