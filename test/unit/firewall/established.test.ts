import { endianness } from "node:os";
import { expect, test } from "vitest";
import { parseConnections } from "../../../server/firewall/established.ts";

/** Addresses in /proc/net/tcp are 32-bit words of the machine's byte order. */
const little = endianness() === "LE";

test.runIf(little)("reads the standing connections of /proc/net/tcp and tcp6", () => {
  const listing = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 24126 1
   1: 010200C0:0016 070200C0:C350 01 00000000:00000000 02:0009C5B8 00000000     0        0 25000 2
   2: 0100007F:0016 0100007F:C351 01 00000000:00000000 02:0009C5B8 00000000     0        0 25001 2
   3: 010200C0:0016 080200C0:C352 06 00000000:00000000 02:0009C5B8 00000000     0        0 25002 2
   4: 010200C0:0016 090200C0:C353 08 00000000:00000000 02:0009C5B8 00000000     0        0 25003 2
   5: 0000000000000000FFFF0000010200C0:0016 0000000000000000FFFF0000070200C0:C354 01 00000000:00000000 00:00000000
   6: B80D0120000000000000000001000000:0016 B80D0120000000000000000007000000:C355 01 00000000:00000000 00:00000000
   7: 00000000000000000000000001000000:0016 00000000000000000000000001000000:C356 01 00000000:00000000 00:00000000
   8: nonsense
`;
  expect(
    parseConnections(listing).map(({ local, localPort, remote, remotePort }) => [
      local.text,
      localPort,
      remote.text,
      remotePort,
    ]),
  ).toEqual([
    ["192.0.2.1", 22, "192.0.2.7", 50_000],
    ["192.0.2.1", 22, "192.0.2.9", 50_003],
    ["192.0.2.1", 22, "192.0.2.7", 50_004],
    ["2001:db8::1", 22, "2001:db8::7", 50_005],
  ]);
});
