import { describe, expect, test } from "vitest";
import type { TimeStep } from "../../../shared/brand.ts";
import { knockId, ReplayWindow } from "../../../server/core/replay-window.ts";
import { SpentSteps } from "../../../server/core/spent-steps.ts";
import { address, bytesFrom } from "../../support/core.ts";

const here = address("192.0.2.1");
const there = address("2001:db8::1");
const use = (name: string, step = 5) => ({ step: step as TimeStep, id: bytesFrom(name, 32) });

describe("the replay window", () => {
  test("a use of which only the bytes are known any more is a replay from anywhere", () => {
    const window = new ReplayWindow<string>(new SpentSteps());
    window.record(use("a"), undefined, undefined);
    expect(window.classify(use("a"), here, 1000)).toEqual({ kind: "replay", first: undefined });
  });

  test("after a restart the address is known but not the port: a duplicate that is told nothing", () => {
    const window = new ReplayWindow<string>(new SpentSteps());
    window.record(use("a"), here, undefined);
    expect(window.classify(use("a"), here, 1000)).toEqual({ kind: "duplicate", answer: undefined });
    expect(window.classify(use("a"), there, 1000)).toEqual({ kind: "replay", first: here });
  });

  test("an answer goes to the address and port that asked, and to nobody else", () => {
    const window = new ReplayWindow<string>(new SpentSteps());
    window.record(use("a"), here, 1000);
    window.answered(use("a"), "opened");
    expect(window.classify(use("a"), here, 1000)).toEqual({ kind: "duplicate", answer: "opened" });
    expect(window.classify(use("a"), here, 1001)).toEqual({ kind: "duplicate", answer: undefined });
    expect(window.classify(use("a"), there, 1000)).toEqual({ kind: "replay", first: here });
  });

  test("keeps the newest answers and remembers the uses of all", () => {
    const window = new ReplayWindow<string>(new SpentSteps(), { answers: 2 });
    for (const name of ["a", "b", "c"]) {
      window.record(use(name), here, 1000);
      window.answered(use(name), name);
    }
    expect(window.classify(use("a"), here, 1000)).toEqual({ kind: "duplicate", answer: undefined });
    expect(window.classify(use("b"), here, 1000)).toEqual({ kind: "duplicate", answer: "b" });
    expect(window.classify(use("c"), here, 1000)).toEqual({ kind: "duplicate", answer: "c" });
  });

  test("an answer to something unknown is not kept", () => {
    const window = new ReplayWindow<string>(new SpentSteps());
    window.answered(use("a"), "opened");
    expect(window.classify(use("a"), here, 1000).kind).toBe("new");
  });

  test("steps that nothing was used in are forgotten without a trace", () => {
    const spent = new SpentSteps();
    const window = new ReplayWindow<string>(spent);
    window.record(use("a", 5), here, 1000);
    window.forget(100 as TimeStep);
    expect([...spent.single]).toEqual([5]);
    expect(window.classify(use("b", 4), here, 1000).kind).toBe("new");
    expect(window.classify(use("b", 5), here, 1000).kind).toBe("spent-step");
    expect(window.classify(use("b", 6), here, 1000).kind).toBe("new");
  });

  test("the knock of a secret and step is one thing, whoever knocks", () => {
    const window = new ReplayWindow<string>(new SpentSteps());
    const knock = { step: 5 as TimeStep, id: knockId(bytesFrom("tag", 8)) };
    expect(knock.id).toHaveLength(32);
    window.record(knock, here, 1000);
    expect(window.classify(knock, there, 2000).kind).toBe("replay");
    const other = { step: 5 as TimeStep, id: knockId(bytesFrom("other tag", 8)) };
    expect(window.classify(other, there, 2000).kind).toBe("new");
  });

  test("4096 uses of one secret in one step, then no more of it, and others go on", () => {
    const window = new ReplayWindow<string>(new SpentSteps());
    const numbered = (tag: string, n: number, step = 5) => {
      const id = new Uint8Array(32);
      id.set(bytesFrom(tag, 8));
      new DataView(id.buffer).setUint32(8, n);
      return { step: step as TimeStep, id };
    };
    for (let n = 0; n < 4096; n++) window.record(numbered("one", n), here, 1000);
    expect(window.classify(numbered("one", 4096), here, 1000).kind).toBe("too-many");
    expect(window.classify(numbered("two", 4096), here, 1000).kind).toBe("new");
    expect(window.classify(numbered("one", 4096, 6), here, 1000).kind).toBe("new");
  });
});
