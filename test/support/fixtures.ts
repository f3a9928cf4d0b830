import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  DOOR,
  type Finding,
  type Fixture,
  type Known,
  makeKnown,
  OTHER,
  REFUSED,
  Site,
} from "../lab/firewalls/fixture.ts";
import { Lab } from "../lab/lab.ts";
import { never } from "../lab/wait.ts";

/** What Tock promises to a machine that has a firewall of its own: a test for each promise, on each firewall. */
export function tryFixtures(fixtures: readonly Fixture[]): void {
  let lab: Lab;
  let known: Known;
  beforeAll(async () => {
    lab = await Lab.create();
    known = await makeKnown(lab);
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  describe.each(fixtures.map((fixture) => [fixture.name, fixture] as const))("%s", (_, fixture) => {
    const dropped = fixture.drops === undefined ? "open open" : "shut shut";
    let site: Site;
    let before: string;

    /** What the firewall says of ports that are none of Tock's. */
    const othersAre = async (): Promise<void> => {
      await site.becomes(site.stranger, OTHER, "open open");
      await site.becomes(site.stranger, REFUSED, dropped);
    };

    beforeAll(async () => {
      site = await Site.build(fixture);
      before = await site.rules();
    });
    afterAll(() => site?.[Symbol.asyncDispose]());

    test("before Tock the ports are as the firewall says", async () => {
      await othersAre();
      await site.becomes(site.stranger, site.port, "open open");
      await site.becomes(site.stranger, DOOR, dropped);
    });

    test("the guard guards, a grant opens for one, and ends", async () => {
      await site.install(known);
      expect(await site.rules()).not.toBe(before);
      expect(await site.view(site.stranger, site.port)).toBe("shut shut");
      expect(await site.view(site.client, site.port)).toBe("shut shut");
      await othersAre();
      await site.ask("ssh", 2);
      await site.becomes(site.client, site.port, "open open");
      expect(await site.view(site.stranger, site.port)).toBe("shut shut");
      await site.becomes(site.client, site.port, "shut shut");
    });

    test("the firewall's own reload leaves guard and grants, or gets them back", async () => {
      await site.ask("ssh", 300);
      await site.becomes(site.client, site.port, "open open");
      await fixture.reload(site.machine);
      await site.becomes(site.stranger, site.port, "shut shut");
      await site.becomes(site.client, site.port, "open open");
      await othersAre();
    });

    let wrong: readonly Finding[];
    test("doctor says what the firewall drops, and nothing else", async () => {
      wrong = (await site.doctor()).filter(({ state }) => state !== "ok");
      const { drops } = fixture;
      if (drops === undefined) return expect(wrong).toEqual([]);
      expect(wrong).not.toEqual([]);
      for (const { message, run = [] } of wrong) {
        expect(message).toMatch(new RegExp(`^tcp/${DOOR} of door `));
        expect(message).toMatch(drops.rule);
        expect(run).not.toEqual([]);
        for (const command of run) expect(command).toMatch(drops.advice);
      }
      await site.ask("door", 300);
      await never("the door opens", () => site.sees(site.client, 4, DOOR), { during: 300 });
    });

    test("with the guard off every rule is as it was before, byte for byte", async () => {
      await site.tock.must("guard", "off");
      expect(await site.rules()).toBe(before);
      await othersAre();
    });

    test.skipIf(fixture.drops === undefined)(
      "what doctor says to run mends it, and the guard guards",
      async () => {
        for (const command of wrong.flatMap(({ run = [] }) => run)) await site.machine.sh(command);
        await site.tock.must("guard", "on");
        await site.ask("door", 300);
        await site.becomes(site.client, DOOR, "open open");
        expect(await site.view(site.stranger, DOOR)).toBe("shut shut");
        expect((await site.doctor()).filter(({ state }) => state !== "ok")).toEqual([]);
      },
    );
  });
}
