import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { DeviceRecord } from "../../../server/store/device-rows.ts";
import { DeviceStore } from "../../../server/store/device-store.ts";
import { parseDeviceId, unixMillis } from "../../../shared/brand.ts";
import { hex } from "../../../shared/bytes.ts";
import { decodeEnrolment, type Enrolment } from "../../../shared/enrolment.ts";
import { unwrap } from "../../../shared/result.ts";
import { publicKey } from "../../../shared/rotation.ts";
import { NOON, type Ran, scratch, tockd } from "../../support/tockd.ts";

const DAY = 86_400_000;
let config: string;
let state: string;
const run = (...args: string[]): Promise<Ran> => tockd([...args, "--config", config]);
const at = (now: number, ...args: string[]): Promise<Ran> =>
  tockd([...args, "--config", config], unixMillis(now));

beforeEach(async () => {
  const folder = scratch();
  config = join(folder, "tockd.toml");
  state = join(folder, "state");
  await tockd([
    ...["init", "--config", config, "--state", state, "--name", "my", "--socket", join(folder, "tockd.sock")],
    ...["--address", "vpn.example.org", "--address", "203.0.113.7", "--user", "alice"],
    ...["--service", "ssh=tcp/22", "--service", "web=tcp/443"],
  ]);
});

/** Changes the configuration file. */
function edit(from: string, to: string): void {
  const text = readFileSync(config, "utf8");
  expect(text).toContain(from);
  writeFileSync(config, text.replace(from, to));
}

/** Works on the store itself. */
function inStore<T>(body: (store: DeviceStore) => T): T {
  const store = unwrap(DeviceStore.open(state));
  try {
    return body(store);
  } finally {
    store.close();
  }
}

const kept = (id: string): DeviceRecord => inStore((store) => unwrap(store.get(unwrap(parseDeviceId(id)))));
const linkIn = (text: string): Enrolment => unwrap(decodeEnrolment(/^tock:\S+$/m.exec(text)?.[0] ?? ""));
const enrol = async (id: string, ...flags: string[]): Promise<Enrolment> =>
  linkIn((await run("device", "add", id, "--link", ...flags)).out);

describe("tockd device add", () => {
  test("prints a link with everything that the device needs, and keeps the same secret", async () => {
    const ran = await run("device", "add", "alice/phone", "--link");
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/^tock:\/\/enroll\/1#\S+\n$/);
    const { secret, serverId, serverKey, ...rest } = linkIn(ran.out);
    expect(rest).toEqual({
      device: "alice/phone",
      server: "my",
      addresses: ["203.0.113.7", "vpn.example.org"],
      port: 62201,
      knock: undefined,
      services: [
        { name: "ssh", ports: [{ protocol: "tcp", first: 22, last: 22 }] },
        { name: "web", ports: [{ protocol: "tcp", first: 443, last: 443 }] },
      ],
      replies: true,
      isStatic: false,
      secondFactor: false,
      rotateAfter: 2_592_000,
    });
    const device = kept("alice/phone");
    expect(device).toMatchObject({
      enabled: true,
      enrolling: true,
      isStatic: false,
      services: undefined,
      createdAt: NOON,
    });
    expect(device.current.secret.equals(secret)).toBe(true);
    const identity = inStore((store) => store.identity);
    expect([hex(serverId), hex(serverKey)]).toEqual([hex(identity.id), hex(publicKey(identity.key))]);
  });

  test("two devices never share a secret", async () => {
    const [phone, laptop] = [await enrol("alice/phone"), await enrol("alice/laptop")];
    expect(phone.secret.equals(laptop.secret)).toBe(false);
  });

  test("keeps to some services, until a date, for ever the same secret", async () => {
    const { services, isStatic, rotateAfter } = await enrol(
      "alice/pi",
      "--services",
      "web",
      "--expires",
      "90d",
      "--static",
    );
    expect([services.map(({ name }) => name), isStatic, rotateAfter]).toEqual([["web"], true, 0]);
    expect(kept("alice/pi")).toMatchObject({
      services: ["web"],
      expiresAt: NOON + 90 * DAY,
      isStatic: true,
      enrolling: false,
    });
  });

  test("takes a date as it is written", async () => {
    await enrol("alice/pi", "--expires", "2027-01-31");
    expect(kept("alice/pi").expiresAt).toBe(Date.UTC(2027, 0, 31));
  });

  test("tells a user who may knock what sequences look like, and whether codes are asked for", async () => {
    appendFileSync(config, '[users.bob]\nservices = ["ssh"]\nknock = true\nsecond_factor = "required"\n');
    appendFileSync(config, '[knock]\nlength = 5\ntransport = "udp"\n');
    const { knock, secondFactor } = await enrol("bob/pi");
    expect({ knock, secondFactor }).toEqual({
      knock: { first: 10000, last: 32767, length: 5, transport: "udp" },
      secondFactor: true,
    });
  });

  test("with --web the link opens the page, and reads the same", async () => {
    const { out } = await run("device", "add", "alice/phone", "--link", "--web", "https://example.org/tock/");
    expect(out).toMatch(/^https:\/\/example\.org\/tock\/#\S+\n$/);
    expect(unwrap(decodeEnrolment(out)).device).toBe("alice/phone");
  });

  test("as JSON it is one object, and nothing else is on standard output", async () => {
    const { out } = await run("device", "add", "alice/phone", "--json");
    const { link, ...rest } = JSON.parse(out) as Record<string, unknown>;
    expect(rest).toEqual({ device: "alice/phone", server: "my", services: ["ssh", "web"], static: false });
    expect(unwrap(decodeEnrolment(String(link))).device).toBe("alice/phone");
  });

  test.each([["--qr"], []])(
    "the QR code (%s) is read by a real decoder, and is the link",
    async (...flags) => {
      const { out } = await run("device", "add", "alice/phone", ...flags);
      const read = decodeQr(out);
      expect(unwrap(decodeEnrolment(read)).secret.equals(kept("alice/phone").current.secret)).toBe(true);
      expect(out.includes(read)).toBe(flags.length === 0);
    },
  );
});

describe("on a terminal that is too narrow for a QR code", () => {
  const narrow = (...args: string[]): Promise<Ran> => tockd([...args, "--config", config], NOON, 40);

  test.each([["--qr"], []])(
    "tockd device add (%s) leaves it out, and the link is there in any case",
    async (...flags) => {
      const { out, note } = await narrow("device", "add", "alice/phone", ...flags);
      expect(unwrap(decodeEnrolment(out)).device).toBe("alice/phone");
      expect(note).toMatch(
        /^tock: warning: no QR code: it is \d+ columns wide, the terminal 40\ntock: hint: .*tockd device rotate alice\/phone --qr\n/,
      );
    },
  );

  test("one that does not tell how wide it is gets the code", async () => {
    const { out } = await tockd(["device", "add", "alice/phone", "--config", config], NOON, 0);
    expect(decodeQr(out)).toMatch(/^tock:/);
  });

  test("tockd user otp add does the same", async () => {
    const { out, note } = await narrow("user", "otp", "add", "alice", "--qr");
    expect(out).toMatch(/^otpauth:\/\/\S+\n$/);
    expect(note).toMatch(/no QR code/);
  });
});

describe("tockd device list and show", () => {
  test("an empty list says how to begin", async () => {
    expect(await run("device", "list")).toEqual({
      code: 0,
      out: "",
      note: "no device is enrolled; tockd device add enrols one\n",
    });
    expect(await run("device", "list", "--json")).toMatchObject({ code: 0, out: "[]\n" });
  });

  test("says state, age, last use, from where and until when, in the order of names", async () => {
    await enrol("alice/phone");
    await enrol("alice/laptop", "--expires", "2027-01-31", "--static");
    inStore((store) =>
      unwrap(
        store.grants.note(
          {
            opened: [],
            ended: [],
            used: [{ id: unwrap(parseDeviceId("alice/laptop")), at: NOON, source: "2001:db8::9" }],
          },
          NOON,
        ),
      ),
    );
    const { out } = await at(NOON + 3 * DAY, "device", "list");
    expect(out).toBe(
      [
        "DEVICE        STATE      SECRET  LAST USED  FROM         EXPIRES",
        "alice/laptop  static     3d old  3d ago     2001:db8::9  2027-01-31",
        "alice/phone   enrolling  3d old  never      -            never",
        "",
      ].join("\n"),
    );
  });

  const states: [string, () => Partial<DeviceRecord>, string][] = [
    ["active", () => ({ enrolling: false }), ""],
    ["enrolling", () => ({}), ""],
    ["disabled", () => ({ enabled: false }), ""],
    ["expired", () => ({ expiresAt: NOON }), ""],
    ["user-disabled", () => ({}), "enabled = false\n"],
    ["expired", () => ({ enrolling: false }), "expires = 2026-11-22T12:00:00Z\n"],
    [
      "secret-expired",
      () => ({ current: { ...kept("alice/phone").current, since: unixMillis(NOON - 90 * DAY) } }),
      "",
    ],
    ["rotating", () => ({ enrolling: false, next: kept("alice/phone").current }), ""],
    ["static", () => ({ enrolling: false, isStatic: true }), ""],
  ];
  test.each(states)("a device is %s", async (state, change, userLines) => {
    await enrol("alice/phone");
    const id = unwrap(parseDeviceId("alice/phone"));
    const changed = change();
    inStore((store) => unwrap(store.update(id, (device) => ({ ...device, ...changed }))));
    appendFileSync(config, userLines);
    edit('#rotate_after = "30d"', 'expire_after = "90d"');
    const { out } = await run("device", "show", "alice/phone", "--json");
    expect((JSON.parse(out) as { state: string }).state).toBe(state);
  });

  test("a device whose user is gone from the configuration is still shown, and can be removed", async () => {
    await enrol("alice/phone");
    edit("[users.alice]", "[users.bob]");
    expect((await run("device", "list")).out).toMatch(/^alice\/phone +no-user /m);
    expect(await run("device", "remove", "alice/phone")).toMatchObject({ code: 0 });
  });

  test("show tells everything but secrets", async () => {
    const { secret } = await enrol("alice/phone", "--services", "ssh");
    const { out } = await run("device", "show", "alice/phone");
    expect(out).toContain("device           alice/phone\n");
    expect(out).toContain("services         ssh\n");
    expect(out).toContain("created          2026-11-22T12:00:00.000Z\n");
    const all = [
      out,
      (await run("device", "show", "alice/phone", "--json")).out,
      (await run("device", "list", "--json")).out,
    ];
    for (const text of all) {
      expect(text).not.toContain(Buffer.from(secret.expose()).toString("base64url").slice(0, 8));
      expect(text).not.toContain(hex(secret.expose()).slice(0, 8));
    }
  });
});

describe("tockd device disable, enable and remove", () => {
  test("switch a device off and on, and say when it was so already", async () => {
    await enrol("alice/phone");
    const said = [];
    for (const verb of ["disable", "disable", "enable", "enable"]) {
      said.push((await run("device", verb, "alice/phone")).note, kept("alice/phone").enabled);
    }
    expect(said).toEqual([
      ...["alice/phone is disabled\n", false, "alice/phone is disabled already\n", false],
      ...["alice/phone is enabled\n", true, "alice/phone is enabled already\n", true],
    ]);
  });

  test("say so in JSON as well", async () => {
    await enrol("alice/phone");
    const told = [];
    for (const verb of ["disable", "disable", "remove"])
      told.push(JSON.parse((await run("device", verb, "alice/phone", "--json")).out));
    expect(told).toEqual([
      { device: "alice/phone", state: "disabled", changed: true },
      { device: "alice/phone", state: "disabled", changed: false },
      { device: "alice/phone", state: "removed", changed: true },
    ]);
  });

  test("remove forgets it", async () => {
    await enrol("alice/phone");
    expect(await run("device", "remove", "alice/phone")).toEqual({
      code: 0,
      out: "",
      note: "alice/phone is removed\n",
    });
    expect((await run("device", "show", "alice/phone")).code).toBe(1);
  });
});

describe("tockd device rotate", () => {
  test("a link that was never used is replaced by the new one", async () => {
    const old = await enrol("alice/phone");
    const fresh = linkIn((await at(NOON + DAY, "device", "rotate", "alice/phone", "--link")).out);
    const device = kept("alice/phone");
    expect(fresh.secret.equals(old.secret)).toBe(false);
    expect(device.current.secret.equals(fresh.secret)).toBe(true);
    expect(device).toMatchObject({ enrolling: true, next: undefined, current: { since: NOON + DAY } });
  });

  test("a secret in use works on beside the new link, until its deadline", async () => {
    await enrol("alice/phone");
    const id = unwrap(parseDeviceId("alice/phone"));
    inStore((store) => unwrap(store.update(id, (device) => ({ ...device, enrolling: false }))));
    const before = kept("alice/phone");
    const fresh = linkIn((await run("device", "rotate", "alice/phone", "--link", "--deadline", "7d")).out);
    const device = kept("alice/phone");
    expect(device.current.secret.equals(before.current.secret)).toBe(true);
    expect(device.next?.secret.equals(fresh.secret)).toBe(true);
    expect(device).toMatchObject({ enrolling: false, nextFromLink: true, currentUntil: NOON + 7 * DAY });
    expect(fresh.isStatic).toBe(false);
  });

  test("a static device's new link is static too", async () => {
    await enrol("alice/pi", "--static");
    const { isStatic } = linkIn((await run("device", "rotate", "alice/pi", "--link")).out);
    expect([isStatic, kept("alice/pi").nextFromLink]).toEqual([true, false]);
  });
});

/** What zbarimg reads in a QR code of half blocks: light where a block is, dark elsewhere. */
function decodeQr(text: string): string {
  const lines = text.split("\n").filter((line) => /^[█▀▄ ]+$/.test(line) && line.length > 20);
  const width = lines[0]?.length ?? 0;
  const rows = lines.flatMap((line) => [
    Array.from(line, (block) => (block === "█" || block === "▀" ? 255 : 0)),
    Array.from(line, (block) => (block === "█" || block === "▄" ? 255 : 0)),
  ]);
  const scale = 4;
  const pixels = rows.flatMap((row) => {
    const wide = row.flatMap((pixel) => Array.from({ length: scale }, () => pixel));
    return Array.from({ length: scale }, () => wide);
  });
  const image = Buffer.concat([
    Buffer.from(`P5\n${width * scale} ${rows.length * scale}\n255\n`),
    Buffer.from(pixels.flat()),
  ]);
  const file = join(scratch(), "qr.pgm");
  writeFileSync(file, image);
  const stdio = ["ignore", "pipe", "ignore"] as const;
  return execFileSync("zbarimg", ["-q", "--raw", file], { encoding: "utf8", stdio: [...stdio] }).trim();
}
