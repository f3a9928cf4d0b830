import { expect, test } from "vitest";
import { chooseBackend, type Facts } from "../../../server/firewall/detect.ts";

const all: Facts = {
  missing: [],
  variant: "nf_tables",
  ipset: undefined,
  nfTables: undefined,
  nativeTables: [],
  managers: [],
};

test.each<[string, Partial<Facts>, string, RegExp]>([
  ["everything works", {}, "iptables", /^iptables on nf_tables; no other program/],
  ["the old iptables", { variant: "legacy" }, "iptables", /^iptables-legacy/],
  ["a ruleset of its own", { nativeTables: ["inet filter"] }, "nftables", /table inet filter/],
  [
    "firewalld on nftables",
    { managers: ["firewalld"], nativeTables: ["inet firewalld"] },
    "nftables",
    /^firewalld keeps .* with nftables$/,
  ],
  ["firewalld on iptables", { managers: ["firewalld"] }, "iptables", /^firewalld keeps .* on nf_tables$/],
  ["ufw", { managers: ["ufw"], variant: "legacy" }, "iptables", /^ufw keeps .* iptables-legacy$/],
  [
    "ufw and Docker, beside somebody's table",
    { managers: ["ufw", "Docker"], nativeTables: ["inet f2b-table"] },
    "iptables",
    /^ufw and Docker keep /,
  ],
  [
    "no iptables",
    { missing: ["iptables", "iptables-restore"] },
    "nftables",
    /iptables, iptables-restore not found/,
  ],
  ["no ip6tables", { missing: ["ip6tables-restore"] }, "nftables", /ip6tables-restore not found/],
  ["iptables that does not run", { variant: undefined }, "nftables", /does not run/],
  ["no ipset", { ipset: "EINVAL" }, "nftables", /the kernel says EINVAL to ipset/],
  ["no nft", { missing: ["nft"] }, "iptables", /nftables does not work here: nft not found/],
  ["no nf_tables", { nfTables: "EOPNOTSUPP", variant: "legacy" }, "iptables", /EOPNOTSUPP to nf_tables/],
  [
    "no nf_tables though nft tables",
    { missing: ["nft"], nativeTables: ["inet f"] },
    "iptables",
    /nft not found/,
  ],
])("%s", (_name, facts, backend, reason) => {
  const chosen = chooseBackend({ ...all, ...facts });
  expect(chosen).toMatchObject({
    ok: true,
    value: { backend, reason: expect.stringMatching(reason) as string },
  });
});

test("nothing works, and why is said of both", () => {
  const chosen = chooseBackend({ ...all, missing: ["nft"], ipset: "EPERM" });
  expect(chosen).toMatchObject({
    ok: false,
    error: {
      code: "firewall",
      message: "no backend works here: iptables: the kernel says EPERM to ipset; nftables: nft not found",
    },
  });
});
