import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startCommand } from "../../../server/sys/units.ts";
import { scratch } from "../../support/tockd.ts";

test.each(["lib", "etc"])(
  "where systemd runs and has the unit in /%s, it starts the daemon; else a person does",
  (place) => {
    const root = scratch();
    expect(startCommand(root)).toBe("tockd run");
    mkdirSync(join(root, "run/systemd/system"), { recursive: true });
    expect(startCommand(root)).toBe("tockd run");
    mkdirSync(join(root, place, "systemd/system"), { recursive: true });
    writeFileSync(join(root, place, "systemd/system/tockd.service"), "");
    expect(startCommand(root)).toBe("systemctl start tockd");
  },
);
