import { describe, expect, test } from "vitest";
import { shapeOf } from "../../../server/firewall/guard.ts";
import { iptablesAccept, iptablesChains, iptablesNat } from "../../../server/firewall/iptables-rules.ts";
import { nftChains } from "../../../server/firewall/nft-rules.ts";
import { parseTarget } from "../../../server/core/target.ts";
import { service } from "../../lab/firewall.ts";

/** Rules about hosts behind the machine. */

const to = ["tcp/10.1.2.3:22", "tcp/[fd00::3]:22"].flatMap((text) => parseTarget(text) ?? []);
const trial = { start: 1_800_000_000, end: 1_800_000_060 };
const leading = { services: [{ ...service("a", "tcp/2222"), to }], silent: [] };

describe("a port that leads to another host", () => {
  test.each([4, 6] as const)(
    "leads only sources that the guard lets in, without counting them, over IPv%s",
    (family) => {
      const [name, rules] = [...iptablesNat(shapeOf(leading), family)][0] ?? [];
      expect(name).toBe("TOCK-TO");
      const leads = rules?.filter((rule) => rule.includes("DNAT")) ?? [];
      expect(leads).toHaveLength(4);
      expect(
        leads.filter((rule) => /tock.p?c-a/.test(rule) && !rule.includes("! --update-counters")),
      ).toEqual([]);
      expect(leads.filter((rule) => !rule.includes("--match-set"))).toEqual([]);
    },
  );

  test("is dropped at this machine's own port, in both families, also where one has no target", () => {
    const shape = shapeOf({ services: [{ ...service("a", "tcp/2222"), to: to.slice(0, 1) }], silent: [] });
    for (const family of [4, 6] as const)
      expect(iptablesChains(shape, family).get("TOCK-INPUT")?.at(-1)).toBe(
        "-p tcp -m multiport --dports 2222 -j DROP",
      );
    expect(nftChains(shape).get("input")?.at(-1)).toBe("tcp dport { 2222 } drop");
    expect(iptablesNat(shape, 6).size).toBe(0);
  });

  test("is accepted on its way through as this one connection and no other", () => {
    expect(iptablesAccept(shapeOf(leading), 4).get("TOCK-TO")).toEqual([
      "-m conntrack --ctstate DNAT --ctproto tcp --ctorigdstport 2222 --ctreplsrc 10.1.2.3 --ctreplsrcport 22 -j ACCEPT",
    ]);
  });

  test("leads nowhere outside of a trial's time", () => {
    const shape = shapeOf({ ...leading, trial });
    const heads = [
      iptablesNat(shape, 4).get("TOCK-TO"),
      iptablesAccept(shape, 4).get("TOCK-TO"),
      iptablesChains(shape, 4).get("TOCK-INPUT"),
    ].map((rules) => rules?.slice(0, 2));
    for (const head of heads) expect(head).toEqual(iptablesChains(shape, 4).get("TOCK-GUARD")?.slice(0, 2));
    for (const name of ["to-others", "input"])
      expect(nftChains(shape).get(name)?.slice(0, 2)).toEqual(nftChains(shape).get("guard")?.slice(0, 2));
  });
});

test("routed ports are looked at in the families of the networks that are named", () => {
  const shape = shapeOf({ services: [{ ...service("a", "udp/1"), forward: ["10.1.2.0/24"] }], silent: [] });
  expect(iptablesChains(shape, 4).get("TOCK-ROUTED")).toEqual([
    "-m conntrack --ctstate ESTABLISHED -j RETURN",
    "-d 10.1.2.0/24 -p udp -m multiport --dports 1 -g TOCK-a",
  ]);
  expect(iptablesChains(shape, 6).has("TOCK-ROUTED")).toBe(false);
  expect(nftChains(shape).get("routed")).toEqual([
    "ct state established return",
    "ip daddr { 10.1.2.0/24 } udp dport { 1 } goto service-a",
  ]);
});

test.each([
  "tcp/10.1.2.3",
  "tcp/fd00::3:22",
  "tcp/[10.1.2.3]:22",
  "10.1.2.3:22",
  "tcp/10.1.2.3:0",
  "tcp/host:22",
])("%s is no target", (text) => expect(parseTarget(text)).toBeUndefined());
