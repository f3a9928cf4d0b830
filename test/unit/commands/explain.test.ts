import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { hex } from "../../../shared/bytes.ts";
import { Device } from "../../lab/device.ts";
import { NOON, type Ran, scratch, tockd } from "../../support/tockd.ts";

let config: string;
let state: string;
let device: Device;
const run = (...args: string[]): Promise<Ran> => tockd([...args, "--config", config]);
const explain = async (payload: Uint8Array, ...flags: string[]): Promise<Record<string, unknown>> => {
  const { out } = await run("explain", hex(payload), "--json", ...flags);
  return (JSON.parse(out) as Record<string, unknown>[])[0] ?? {};
};

beforeEach(async () => {
  const folder = scratch();
  config = join(folder, "tockd.toml");
  state = join(folder, "state");
  const flags = ["--state", state, "--name", "my", "--address", "203.0.113.7", "--user", "alice"];
  await run("init", ...flags, "--socket", join(folder, "tockd.sock"), "--backend", "dry-run");
  device = new Device((await run("device", "add", "alice/phone", "--static", "--link")).out.trim());
});

describe("tockd explain", () => {
  test("says what would be opened, for whom and for how long", async () => {
    expect(await explain(device.packet({}, NOON), "--from", "198.51.100.7")).toEqual({
      verdict: "grant",
      why: "opens ssh to 198.51.100.7 for 30 s",
      from: "198.51.100.7",
      at: "2026-11-22T12:00:00.000Z",
      device: "alice/phone",
      form: "spa",
      service: "ssh",
      seconds: 30,
    });
    expect(await explain(device.stun(device.packet({}, NOON), NOON))).toMatchObject({
      verdict: "grant",
      form: "stun",
    });
  });

  test("says why not: another time, damage, size, a service that there is not", async () => {
    const late = await explain(device.packet({}, NOON - 120_000));
    expect(late).toMatchObject({
      verdict: "dropped",
      why: expect.stringContaining("no device has this tag") as string,
    });
    const damaged = device.packet({}, NOON);
    damaged[100] = (damaged[100] ?? 0) ^ 1;
    expect(await explain(damaged)).toMatchObject({ why: "a device's tag, but not made with its key" });
    expect(await explain(Buffer.alloc(7, 1))).toMatchObject({ why: "not of a packet's size" });
    const web = device.packet({ service: "web" as never }, NOON);
    expect(await explain(web)).toMatchObject({
      verdict: "refuse",
      why: "refused by the rule unknown-service",
    });
    expect(await explain(device.packet({}, NOON - 120_000), "--at", "2026-11-22T11:58:00Z")).toMatchObject({
      verdict: "grant",
    });
  });

  test("reads capture files, and tells a packet that comes twice", async () => {
    const packet = device.packet({}, NOON);
    const udp = Buffer.alloc(28 + packet.length);
    udp.set([0x45, 0, 0, udp.length, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7, 203, 0, 113, 7]);
    udp.writeUInt16BE(40_000, 20);
    udp.writeUInt16BE(62_201, 22);
    udp.writeUInt16BE(8 + packet.length, 24);
    udp.set(packet, 28);
    const file = Buffer.alloc(24);
    file.writeUInt32LE(0xa1b2c3d4, 0);
    file.writeUInt32LE(101, 20);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(NOON / 1000, 0);
    record.writeUInt32LE(udp.length, 8);
    record.writeUInt32LE(udp.length, 12);
    const path = join(scratch(), "x.pcap");
    writeFileSync(path, Buffer.concat([file, record, udp, record, udp]));
    const before = readFileSync(join(state, "journal"));
    const { code, out } = await run("explain", path);
    expect([code, out]).toEqual([
      0,
      "2026-11-22T12:00:00.000Z 198.51.100.7 spa alice/phone: grant: opens ssh to 198.51.100.7 for 30 s\n" +
        "2026-11-22T12:00:00.000Z 198.51.100.7 spa alice/phone: dropped: used already, from the same address\n",
    ]);
    expect(readFileSync(join(state, "journal"))).toEqual(before);
  });

  test("what is neither hex nor a file", async () => {
    const { code, note } = await run("explain", "hello");
    expect([code, note]).toEqual([
      1,
      expect.stringMatching(/expected hex or a capture file, got "hello" \(ENOENT\)\ntock: hint: /),
    ]);
  });
});
