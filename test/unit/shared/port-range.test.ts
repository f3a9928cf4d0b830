import { describe, expect, test } from "vitest";
import { formatPortRange, parsePortRange, rangesOverlap } from "../../../shared/port-range.ts";
import { unwrap } from "../../../shared/result.ts";

describe("port range", () => {
  test.for(["tcp/22", "udp/60000-61000", "tcp/1-65535"])("'%s' comes back", (text) => {
    expect(formatPortRange(unwrap(parsePortRange(text)))).toBe(text);
  });

  test("a range of one port is that port", () => {
    expect(formatPortRange(unwrap(parsePortRange("tcp/22-22")))).toBe("tcp/22");
  });

  const bad = [
    "",
    "22",
    "tcp",
    "tcp/",
    "tcp/0",
    "tcp/65536",
    "tcp/23-22",
    "tcp/1-",
    "tcp/-1",
    "TCP/22",
    "sctp/22",
    "tcp/22 ",
    " tcp/22",
  ];
  test.for([...bad, "tcp/22\n", "tcp/1-2-3", "tcp/22,23", "tcp/ssh"])("refuses '%s'", (text) => {
    expect(parsePortRange(text)).toMatchObject({ ok: false, error: { code: "invalid" } });
  });

  test.for([
    ["tcp/22", "tcp/22", true],
    ["tcp/22", "udp/22", false],
    ["tcp/20-22", "tcp/22-30", true],
    ["tcp/20-21", "tcp/22-30", false],
    ["tcp/1-65535", "tcp/443", true],
  ] as const)("%s and %s overlap: %s", ([a, b, overlap]) => {
    const [x, y] = [unwrap(parsePortRange(a)), unwrap(parsePortRange(b))];
    expect(rangesOverlap(x, y)).toBe(overlap);
    expect(rangesOverlap(y, x)).toBe(overlap);
  });
});
