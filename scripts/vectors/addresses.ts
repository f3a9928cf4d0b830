import { isIPv4, isIPv6 } from "node:net";
import { address16 } from "./requests.ts";

/** Text as people write it, and its RFC 5952 form where that is another. IPv4-mapped addresses are IPv4. */
const GOOD: [string, string?][] = [
  ["192.0.2.1"],
  ["0.0.0.0"],
  ["255.255.255.255"],
  ["::"],
  ["::1"],
  ["1::"],
  ["2001:db8::1"],
  ["2001:DB8::A", "2001:db8::a"],
  ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
  ["::192.0.2.1", "::c000:201"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"],
];

const BAD = [
  "",
  " ",
  "192.0.2",
  "192.0.2.1.1",
  "192.0.2.256",
  "192.0.2.-1",
  "192.0.2.01",
  "192.0.2.1 ",
  " 192.0.2.1",
  "192.0.2.1\n",
  "192.0.2.0x1",
  "3221225985",
  "0xc0000201",
  "192.0.2.1:22",
  "192.0.2.1/32",
  ":",
  ":::",
  "1:",
  ":1",
  ":1::",
  "1:::2",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "1:2:3:4::5:6:7:8",
  "::12345",
  "::g",
  "fe80::1%eth0",
  "[::1]",
  "::1/128",
  "::ffff:192.0.2.256",
  "::ffff:192.0.2",
  "192.0.2.1::",
  "::192.0.2.1:1",
  "1::192.0.2.1::",
  "192.0.2.1::1",
  "1:2:3:4:5:6:7:192.0.2.1",
  "localhost",
  "example.com",
];

/** `bytes` and `canonical` are null where the text is no address. */
export function addresses(): object[] {
  for (const text of BAD)
    if (isIPv4(text) || (isIPv6(text) && !text.includes("%"))) throw new Error(`address: ${text}`);
  return [
    ...GOOD.map(([text, canonical = text]) => {
      if (!isIPv4(text) && normal(text) !== normal(canonical))
        throw new Error(`address: ${text} is not ${canonical}`);
      return {
        text,
        canonical,
        family: isIPv4(canonical) ? 4 : 6,
        bytes: address16(canonical).toString("hex"),
      };
    }),
    ...BAD.map((text) => ({ text, canonical: null, family: null, bytes: null })),
  ];
}

/** The URL standard's serializer writes RFC 5952, with an IPv4 tail in hexadecimal. */
function normal(text: string): string {
  return new URL(`http://[${isIPv4(text) ? `::ffff:${text}` : text}]/`).hostname;
}
