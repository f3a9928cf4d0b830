import { describe, expect, test } from "vitest";
import { nameOf, setNamed, setsOf } from "../../../server/firewall/grant-set.ts";
import { marksOf, sameMarks, shapeOf } from "../../../server/firewall/guard.ts";
import { iptablesChains } from "../../../server/firewall/iptables-rules.ts";
import { nftChains } from "../../../server/firewall/nft-rules.ts";
import { iptablesFilter } from "../../../server/rules/standalone.ts";
import type { ServiceName } from "../../../shared/brand.ts";
import { ports, service } from "../../lab/firewall.ts";

describe("the shape of a guard", () => {
  test("merges ports that touch or overlap, and sorts them", () => {
    const many = service("many", "tcp/80", "tcp/22", "tcp/81-90", "tcp/85-95", "udp/53", "tcp/100");
    const [shaped] = shapeOf({ services: [many], silent: [] }).services;
    expect(shaped?.ports).toEqual({
      tcp: [
        [22, 22],
        [80, 95],
        [100, 100],
      ],
      udp: [[53, 53]],
    });
  });

  test("takes a silent UDP port that stands alone for the SPA port", () => {
    const silent = ["udp/62201", "tcp/62202", "udp/10000-10010"].map(ports);
    const { spa, silent: rest } = shapeOf({ services: [], silent });
    expect(spa).toEqual({ tcp: [], udp: [[62_201, 62_201]] });
    expect(rest).toEqual({ tcp: [[62_202, 62_202]], udp: [[10_000, 10_010]] });
  });
});

describe("networks that need no grant", () => {
  const allow = ["198.51.100.0/24", "198.51.100.7/32", "2001:db8::/32", "198.51.100.0/24", "2001:db8::/48"];
  const shape = shapeOf({
    services: [service("a", "tcp/1")],
    silent: ["udp/9", "tcp/10-20"].map(ports),
    allow,
  });

  test("are named once each, and not within each other", () => {
    expect(shape.allow).toEqual({ 4: ["198.51.100.0/24"], 6: ["2001:db8::/32"] });
  });

  test("pass after what is silent, and before the services", () => {
    expect(iptablesChains(shape, 4).get("TOCK-GUARD")?.slice(-3)).toEqual([
      "-p tcp -m multiport --dports 10:20 -j DROP",
      "-s 198.51.100.0/24 -j RETURN",
      "-p tcp -m multiport --dports 1 -g TOCK-a",
    ]);
    expect(iptablesChains(shape, 6).get("TOCK-GUARD")?.at(-2)).toBe("-s 2001:db8::/32 -j RETURN");
    expect(nftChains(shape).get("guard")?.slice(-4)).toEqual([
      "tcp dport { 10-20 } drop",
      "ip saddr { 198.51.100.0/24 } return",
      "ip6 saddr { 2001:db8::/32 } return",
      "tcp dport { 1 } goto service-a",
    ]);
  });

  test("get in to the services alone where rules drop everything else", () => {
    const accepts = iptablesFilter(shape, 4, "errors").filter((rule) => rule.includes("198.51.100"));
    expect(accepts).toEqual(["-A INPUT -p tcp -m multiport --dports 1 -s 198.51.100.0/24 -j ACCEPT"]);
  });
});

describe("rules", () => {
  test("of iptables name at most 15 ports each, a range counting as two", () => {
    const list = Array.from({ length: 20 }, (_, index) =>
      index % 2 === 0 ? `tcp/${1000 + index * 10}` : `tcp/${1000 + index * 10}-${1003 + index * 10}`,
    );
    const chains = iptablesChains(shapeOf({ services: [service("many", ...list)], silent: [] }), 4);
    const rules = (chains.get("TOCK-GUARD") ?? []).filter((rule) => rule.includes("-g TOCK-many"));
    const counts = rules.map((rule) => (/--dports (\S+)/.exec(rule)?.[1] ?? "").split(/[,:]/).length);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(30);
    expect(Math.max(...counts)).toBeLessThanOrEqual(15);
  });

  test.each([4, 6] as const)("end with a drop for each service, over IPv%s", (family) => {
    const shape = shapeOf({ services: [service("a", "tcp/1"), service("b", "udp/2")], silent: [] });
    for (const name of ["TOCK-a", "TOCK-b"])
      expect(iptablesChains(shape, family).get(name)?.at(-1)).toBe("-j DROP");
    for (const name of ["service-a", "service-b"]) expect(nftChains(shape).get(name)?.at(-1)).toBe("drop");
  });

  test("never accept on behalf of the machine's own firewall", () => {
    const shape = shapeOf({
      services: [service("a", "tcp/1", "udp/1")],
      silent: ["udp/9", "tcp/10-20"].map(ports),
    });
    const all = [iptablesChains(shape, 4), iptablesChains(shape, 6), nftChains(shape)].flatMap((chains) =>
      [...chains.values()].flat(),
    );
    expect(all.filter((rule) => /\baccept\b/i.test(rule))).toEqual([]);
  });
});

describe("marks", () => {
  const one = nftChains(shapeOf({ services: [service("a", "tcp/1")], silent: [] }));
  const two = nftChains(shapeOf({ services: [service("a", "tcp/2")], silent: [] }));

  test("number the rules of a plan, and differ between plans", () => {
    const marks = [...marksOf(one).values()].flat();
    expect(marks[0]).toMatch(/^tock [0-9a-f]{8} 1\/\d+$/);
    expect(new Set(marks).size).toBe(marks.length);
    expect(sameMarks(marksOf(one), marksOf(one))).toBe(true);
    expect(sameMarks(marksOf(one), marksOf(two))).toBe(false);
  });

  test("show a chain too many, too few, and a rule out of place", () => {
    const wanted = marksOf(one);
    const [[chain = "", rules = []] = []] = wanted;
    expect(sameMarks(new Map([...wanted, ["other", []]]), wanted)).toBe(false);
    expect(sameMarks(new Map([[chain, rules]]), wanted)).toBe(false);
    expect(sameMarks(new Map([...wanted, [chain, rules.toReversed()]]), wanted)).toBe(false);
    expect(sameMarks(new Map([...wanted, [chain, [...rules, ""]]]), wanted)).toBe(false);
  });
});

test("names of sets fit ipset's 31 characters, and say what they are", () => {
  const longest = "a-_45678901234_6" as ServiceName;
  const widths = [
    { family: 4, prefix: 24 },
    { family: 6, prefix: 64 },
    { family: 6, prefix: 127 },
  ] as const;
  for (const set of setsOf(longest, widths)) {
    expect(nameOf(set).length).toBeLessThanOrEqual(31);
    expect(setNamed(nameOf(set))).toEqual(set);
  }
  expect(new Set(setsOf(longest, widths).map(nameOf)).size).toBe(8 + 2 * 3);
  for (const name of ["tock", "tock5-web", "tock4-", "tock4cl-web", "other", "tock4-Web"]) {
    expect(setNamed(name), name).toBeUndefined();
  }
});
