import { eventText } from "../../../server/commands/events.ts";
import { DryRunFirewall } from "../../../server/firewall/dry-run.ts";
import { OpenGrants } from "../../../server/open-grants.ts";
import { GrantStore } from "../../../server/store/grant-store.ts";
import { OtpStore } from "../../../server/store/otp-store.ts";
import { parseHead, parseLine } from "../../../server/store/trail-file.ts";
import { grantOf } from "../../../server/core/policy.ts";
import { seconds } from "../../../shared/brand.ts";
import { ascii } from "../../../shared/bytes.ts";
import { TockError } from "../../../shared/errors.ts";
import { unwrap } from "../../../shared/result.ts";
import { address, deviceId, later, makeService, NOW } from "../../support/core.ts";
import type { Target } from "../loop.ts";

/** Rows and lines that the daemon once wrote, as a bad disk or another hand may have changed them. */

type Value = null | string | Uint8Array | number;
type Row = Record<string, Value>;

/** Changes to a row: a column, a type, a length, and the bytes. */
function changed(row: Row, input: Uint8Array): Row {
  const columns = Object.keys(row);
  const result = { ...row };
  for (let at = 0; at + 2 < input.length; ) {
    const [column = 0, type = 0, length = 0] = input.subarray(at, at + 3);
    const bytes = Buffer.from(input.slice(at + 3, at + 3 + length));
    const values: Value[] = [
      null,
      bytes.toString("utf8"),
      Uint8Array.from(bytes),
      bytes.readUIntBE.call(pad(bytes), 0, 4),
      -1,
      2 ** 52,
      0,
      129,
    ];
    result[columns[column % columns.length] ?? ""] = values[type % values.length] ?? null;
    at += 3 + length;
  }
  return result;
}

const pad = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(4)]);
const service = makeService();

const GRANT = {
  device: "alice/phone",
  service: "ssh",
  source: "192.0.2.7",
  prefix: 0,
  port: 0,
  counted: 0,
  connections: 0,
  expires: NOW + 60_000,
};

/** Owners are known again at a start: of what the kernel holds alone, and the start does not fail. */
function grantTarget(input: Uint8Array): void {
  const rows = [changed(GRANT, input), GRANT];
  const store = new GrantStore({ all: () => rows } as never, "store");
  const firewall = new DryRunFirewall({ log: () => undefined, now: () => NOW });
  unwrap(firewall.guardOn({ services: [service], silent: [] }));
  unwrap(firewall.open(held));
  const grants = new OpenGrants(firewall, { opened: () => undefined, ended: () => undefined }, () => 0);
  unwrap(grants.restore(unwrap(store.all()), [service], NOW));
  for (const grant of grants.list()) {
    if (grant.source.text !== "192.0.2.7" || grant.sourcePort !== undefined)
      throw new Error("knows more than is open");
  }
  if (!grants.list().some(({ device }) => device === "alice/phone")) throw new Error("forgot who it was");
  for (const ended of grants.closeAll(deviceId("alice/phone"))) unwrap(ended);
}

const held = grantOf({
  device: deviceId("alice/phone"),
  service,
  source: address("192.0.2.7"),
  lifetime: seconds(60),
  expiresAt: later(NOW, 60_000),
  connections: 0,
  prefix: undefined,
  sourcePort: undefined,
});

const OTP = { secret: new Uint8Array(20), since: NOW, burned: -1, wrong: 0 };

/** A second factor is whole, or there is an error. */
function otpTarget(input: Uint8Array): void {
  const row = changed(OTP, input);
  const store = new OtpStore({ get: () => row } as never, "store");
  try {
    const otp = store.get("alice");
    if (otp.ok && otp.value !== undefined && otp.value.secret.expose().length < 16)
      throw new Error("a short secret");
    unwrap(store.guesses(1));
  } catch (error) {
    if (!(error instanceof TockError)) throw error;
  }
}

/** A line of the audit trail and its head. What is printed of it says nothing to a terminal. */
function trailTarget(input: Uint8Array): void {
  const text = Buffer.from(input).toString("utf8");
  parseHead(text);
  const line = parseLine(text);
  if (line === undefined) return;
  if (!/^[0-9a-f]{64}$/.test(line.prev) || !Number.isSafeInteger(line.seq))
    throw new Error("no line of a trail");
  const shown = eventText(line);
  if (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(shown.slice(0, -1))) throw new Error("speaks to the terminal");
  if (/^[a-z-]+$/.test(line.kind) && !` ${shown.trimEnd()} `.includes(` ${line.kind} `))
    throw new Error("hides what it is");
}

const LINE = `{"seq":7,"at":"2026-11-22T12:00:00.000Z","kind":"audit-torn","text":"\\u001b[2J","user":"alice","prev":"${"0".repeat(64)}"}`;
const words = [
  Uint8Array.of(3, 7, 0),
  Uint8Array.of(4, 5, 0),
  Uint8Array.of(7, 5, 0),
  Uint8Array.of(2, 1, 4, 58, 58, 49, 50),
  ...["\\u001b[", "\\u009b", '"kind":', '"time":', '"msg":', '"level":', "__proto__", "\\u202e"].map((word) =>
    ascii(word),
  ),
];

export const ROW_TARGETS: readonly Target[] = [
  {
    name: "grant-row",
    seeds: [Uint8Array.of(2, 1, 3, 58, 58, 49, 3, 3, 1, 24), Uint8Array.of(0, 1, 3, 97, 47, 98)],
    words,
    run: grantTarget,
  },
  {
    name: "otp-row",
    seeds: [Uint8Array.of(0, 2, 20, ...new Uint8Array(20)), Uint8Array.of(2, 5, 0)],
    words,
    run: otpTarget,
  },
  { name: "trail", seeds: [ascii(LINE), ascii('{"seq":7,"hash":"00","first":1}')], words, run: trailTarget },
];
