import { expect, test } from "vitest";
import { lacking } from "../support/root.ts";

test("full capabilities lack nothing", () => {
  expect(lacking("Name:\tnode\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n")).toBeUndefined();
});

test("no capabilities lack something", () => {
  expect(lacking("CapEff:\t0000000000000000\n")).toMatch(/root|CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN/);
});

test("the capabilities of an ordinary container are not enough", () => {
  expect(lacking("CapEff:\t00000000a80425fb\n")).toMatch(/root|CAP_NET_ADMIN, CAP_SYS_ADMIN/);
});

test("another operating system is named as what is missing", () => {
  expect(lacking("")).toBe("Linux");
});
