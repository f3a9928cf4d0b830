import { describe, expect, test } from "vitest";
import { parseSettings } from "../../../server/config/parse.ts";
import { knockOdds, MOST_ODDS, safeLength } from "../../../server/core/knock-odds.ts";
import { knockWarning } from "../../../server/knock-warning.ts";

const shape = (length: number, span = 22_768) => ({ first: 10_000, last: 10_000 + span - 1, length });

describe("the odds of guessing a sequence", () => {
  // The table of docs/PROTOCOL.md.
  test.each([
    [4, 22_768, 3.9e-16],
    [6, 22_768, 4.5e-25],
    [3, 22_768, 5.3e-12],
    [3, 1024, 5.9e-8],
  ])("%i of %i ports: %d a packet", (length, span, odds) => {
    expect(knockOdds(shape(length, span), 3, 1) / odds).toBeCloseTo(1, 1);
  });

  test("agree with drawing at random, where that can be counted", () => {
    const span = 12;
    const sequence = [3, 7];
    let state = 1;
    const draw = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * span);
    };
    let hits = 0;
    const rounds = 200_000;
    const recent: number[] = Array.from({ length: 8 }, draw);
    for (let round = 0; round < rounds; round++) {
      recent.shift();
      recent.push(draw());
      if (recent[7] === sequence[1] && recent.slice(0, 7).includes(sequence[0] ?? 0)) hits++;
    }
    // Counting the ways one by one is a little too much where several can be true at once.
    const odds = knockOdds({ first: 0, last: span - 1, length: 2 }, 1, 1);
    expect(hits / rounds).toBeLessThan(odds);
    expect(hits / rounds).toBeGreaterThan(odds * 0.7);
  });

  test("grow with steps and devices", () => {
    expect(knockOdds(shape(4), 9, 10)).toBeCloseTo(30 * knockOdds(shape(4), 3, 1), 25);
  });

  test.each([
    [22_768, 1, 4],
    [22_768, 25, 4],
    [22_768, 26, 5],
    [22_768, 100_000, 5],
    [1024, 1, 6],
    [1024, 100_000, 7],
    [1024, 1e10, undefined],
  ])("of %i ports %i devices need %s", (span, devices, length) => {
    expect(safeLength(shape(4, span), 3, devices)).toBe(length);
    if (length !== undefined) expect(knockOdds(shape(length, span), 3, devices)).toBeLessThan(MOST_ODDS);
  });
});

describe("tockd says so", () => {
  const check = (knock: string, user = "knock = true") => {
    const text = `[server]\nname = "s"\naddresses = ["192.0.2.1"]\n[services.ssh]\nports = ["tcp/22"]\n[users.a]\nservices = ["ssh"]\n${user}\n[knock]\n${knock}\n`;
    const parsed = parseSettings(text, "FILE");
    return parsed.ok ? "ok" : parsed.error.map(({ message, hint }) => `${message}; ${hint}`).join("\n");
  };

  test("a shape that one device's sequence can be guessed in is a mistake", () => {
    expect(check("length = 4")).toBe("ok");
    expect(check("length = 3")).toBe(
      "FILE:10:1: knock.length: expected sequences that cannot be guessed, got 3 of 22768 ports: every 2e+11th packet would hit; length = 4 will do",
    );
    expect(check('ports = "10000-11023"')).toMatch(/got 4 of 1024 ports.*length = 6 will do/);
  });

  test("and none where nobody may knock", () => expect(check("length = 3", "")).toBe("ok"));

  test("many devices are a warning with the length that will do", () => {
    const settings = { knock: { ...shape(4), transport: "tcp" as const }, skew: { past: 1, future: 1 } };
    expect(knockWarning(settings, 25)).toBeUndefined();
    expect(knockWarning(settings, 26)).toEqual({
      devices: 26,
      length: 4,
      hint: "[knock] length = 5 will do; devices that knock then need a new link",
    });
  });
});
