import { expect, test } from "vitest";
import type { Settings } from "../../server/config/settings.ts";
import { adviceOn } from "../../server/reload.ts";

const settings = (port: number, ssh: number, first = 10_000): Settings =>
  ({
    server: { port },
    services: [{ name: "ssh", ports: [{ protocol: "tcp", first: ssh, last: ssh }] }],
    users: [{ name: "alice", mayKnock: true }],
    knock: { first, last: 32_767, length: 4 },
  }) as unknown as Settings;

test("a reload tells what devices do not know by themselves", () => {
  expect(adviceOn(settings(62_201, 22), settings(62_201, 22))).toEqual([]);
  expect(adviceOn(settings(62_201, 22), settings(62_300, 22))).toEqual([
    expect.stringMatching(
      /^devices send to udp\/62201, and the server hears udp\/62300 now: each needs a new link/,
    ),
  ]);
  expect(adviceOn(settings(62_201, 22), settings(62_201, 2222))).toEqual([
    expect.stringMatching(/^devices name the old ports of ssh until they have a new link/),
  ]);
  expect(adviceOn(settings(62_201, 22), settings(62_201, 22, 20_000))).toEqual([
    expect.stringMatching(/^devices knock on the old ports until they have a new link/),
  ]);
});
