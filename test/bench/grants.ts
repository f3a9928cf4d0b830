import { createInterface } from "node:readline";
import type { GuardPlan } from "../../server/core/firewall.ts";
import type { Grant } from "../../server/core/grant.ts";
import { createFirewall } from "../../server/firewall/create.ts";
import { Address } from "../../shared/address.ts";
import type { Port } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { service } from "../lab/firewall.ts";

// grants.ts BACKEND SIZE…: what a grant costs while so many are open, in this network namespace. After each size it
// prints JSON and waits for a line, so that somebody else can measure packets meanwhile.

const [backend = "", ...sizes] = process.argv.slice(2);
const SAMPLES = 200;
const WARM_UP = 500;

const door = service("door", "udp/5000");
const warm = service("warm", "udp/5001");
const plan: GuardPlan = {
  services: [door, warm],
  silent: [{ protocol: "udp", first: 62_201 as Port, last: 62_201 as Port }],
};
const options = { log: () => undefined, now: () => performance.now() };
const firewall = unwrap(createFirewall(backend as "iptables" | "nftables", options));
unwrap(firewall.guardOn(plan));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

let opened = 0;
/** 10.96.0.1 and on: addresses that the stranger's routes lead to. */
function grantFor(number: number, to = door): Grant {
  const source = Address.v4(Uint8Array.of(10, 96 + (number >> 16), (number >> 8) & 255, number & 255));
  const rest = {
    device: "alice/phone",
    lifetime: 3600,
    connections: 0,
    sourcePort: undefined,
    prefix: undefined,
  };
  return { ...rest, service: to, source } as unknown as Grant;
}

/** Microseconds for one more. */
function openOne(): number {
  const grant = grantFor(++opened);
  const start = process.hrtime.bigint();
  unwrap(firewall.open(grant));
  return Number(process.hrtime.bigint() - start) / 1e3;
}

// Into another set: the first calls run code that nobody has compiled yet.
for (let n = 1; n <= WARM_UP; n++) unwrap(firewall.open(grantFor(n, warm)));
for (const size of sizes.map(Number)) {
  while (opened < size) openOne();
  const open = Array.from({ length: SAMPLES }, openOne);
  const again = Array.from({ length: SAMPLES }, (_, n) => {
    const start = process.hrtime.bigint();
    unwrap(firewall.open(grantFor(n + 2)));
    return Number(process.hrtime.bigint() - start) / 1e3;
  });
  console.log(JSON.stringify({ size, open, again }));
  await lines.next();
}
unwrap(firewall.guardOff());
console.log("off");
await lines.next();
firewall.dispose();
process.exit();
