import { expect, test } from "vitest";
import { HOOKS, heldIn } from "../../../server/firewall/iptables-hooks.ts";

/** What a listing says of a rule that stands before the guard. */

const GUARD = '-A PREROUTING -m comment --comment "tock" -j TOCK-GUARD';
const isLate = (rule: string): boolean =>
  heldIn(`-P PREROUTING ACCEPT\n-A PREROUTING ${rule}\n${GUARD}\n`, HOOKS.mangle).late.has("PREROUTING");

test.each([
  "-j ACCEPT",
  '-m comment --comment "was -j DROP once" -j ACCEPT',
  '-m comment --comment "was \\" -j DROP \\" once" -j ACCEPT',
  '-m comment --comment "-j TOCK-GUARD" -j ACCEPT',
  '-m comment --comment "-j LOG" -g elsewhere',
])("past it may let: %s", (rule) => {
  expect(isLate(rule)).toBe(true);
});

test.each(["-j DROP", '-m comment --comment "no -j ACCEPT here" -j DROP', '-m comment --comment "a -j b"'])(
  "past it lets nothing: %s",
  (rule) => {
    expect(isLate(rule)).toBe(false);
  },
);

test("the guard's own jump is known whatever its comment says", () => {
  const rule = '-m comment --comment "tock -j made table" -j TOCK-GUARD';
  const { jumps } = heldIn(`-A PREROUTING ${rule}\n`, HOOKS.mangle);
  expect(jumps.get("PREROUTING")).toEqual([rule]);
});
