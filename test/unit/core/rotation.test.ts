import { describe, expect, test } from "vitest";
import type { UnixMillis } from "../../../shared/brand.ts";
import { agreed, promoted } from "../../../server/core/rotation.ts";
import { makeDevice, NOW, secretFrom } from "../../support/core.ts";

const S = secretFrom("first");
const N = secretFrom("second");
const MONTH = 30 * 24 * 3600 * 1000;
const dated = (secret = S) => ({ secret, since: 0 as UnixMillis });

describe("the first use of next", () => {
  test("makes it current, and retires the one before for 30 days", () => {
    const device = promoted(
      makeDevice("alice/phone", { current: dated(), next: dated(N), enrolling: true }),
      NOW,
    );
    expect(device.current.secret.equals(N)).toBe(true);
    expect(device.next).toBeUndefined();
    expect(device.enrolling).toBe(false);
    expect(device.retired.map(({ secret, until }) => [secret.equals(S), until - NOW])).toEqual([
      [true, MONTH],
    ]);
  });

  test("that came from a link makes a secret that may only rotate, and ends the deadline of the old one", () => {
    const fields = { current: dated(), next: dated(N), nextFromLink: true, currentUntil: NOW };
    const device = promoted(makeDevice("alice/phone", fields), NOW);
    expect(device).toMatchObject({ enrolling: true, nextFromLink: false, currentUntil: undefined });
  });

  test("forgets retired secrets whose time is over", () => {
    const retired = [{ secret: secretFrom("old"), until: NOW }];
    expect(promoted(makeDevice("alice/phone", { next: dated(N), retired }), NOW).retired).toHaveLength(1);
  });
});

describe("an agreement", () => {
  const kind = (fields: Parameters<typeof makeDevice>[1]): string =>
    agreed(makeDevice("a/b", fields), N, NOW).kind;

  test("is stored as next beside current", () => {
    const agreement = agreed(makeDevice("a/b", { current: dated() }), N, NOW);
    expect(agreement).toMatchObject({ kind: "agreed", device: { next: { since: NOW } } });
    if (agreement.kind !== "agreed") throw new Error("not agreed");
    expect(agreement.device.next?.secret.equals(N)).toBe(true);
    expect(agreement.device.current.secret.equals(S)).toBe(true);
  });

  test("that is known already is told again", () =>
    expect(kind({ next: dated(N), enrolling: true })).toBe("known"));

  test("replaces one whose device has lost it", () => expect(kind({ next: dated(S) })).toBe("agreed"));

  test("under a link that was used shows that somebody else used it", () => {
    expect(kind({ next: dated(S), enrolling: true })).toBe("link-used");
  });

  test("does not undo a new link that the owner made", () => {
    expect(kind({ next: dated(S), nextFromLink: true })).toBe("link-pending");
  });
});
