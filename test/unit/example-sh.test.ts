import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { base64url } from "../../shared/bytes.ts";
import { type Origin, unhex, vectors } from "../support/vectors.ts";

const program = fileURLToPath(new URL("../../docs/examples/tock-knock.sh", import.meta.url));
const knock = (first: unknown, last: unknown, length: unknown = 4): object => ({
  knock: { first, last, length, transport: "tcp" },
});
const hasTools = ["openssl", "od"].every((name) => spawnSync("which", [name]).status === 0);

interface Vector extends Origin {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly length: number;
  readonly ports: number[];
}

describe.skipIf(!hasTools)("docs/examples/tock-knock.sh [needs openssl and od]", () => {
  const folder = mkdtempSync(join(tmpdir(), "tock-sh-"));
  const file = join(folder, "link");
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (vector: Vector, change: object = {}, mode = 0o600, host: string[] = []) => {
    const { first, last, length } = vector;
    const json = {
      device: "alice/router",
      addresses: ["192.0.2.1"],
      knock: { first, last, length, transport: "tcp" },
      isStatic: true,
      serverId: base64url(unhex(vector.serverId)),
      secret: base64url(unhex(vector.secret)),
      ...change,
    };
    rmSync(file, { force: true });
    writeFileSync(file, `tock://enroll/1#${base64url(Buffer.from(JSON.stringify(json)))}\n`, { mode });
    const words = [program, "-n", "-s", String(vector.step), file, ...host];
    return spawnSync("sh", words, { encoding: "utf8", timeout: 25_000 });
  };
  const { vectors: all } = vectors("knock-sequence") as { vectors: Vector[] };

  test.for(all)("draws the ports of: $name", (vector) => {
    expect(run(vector)).toMatchObject({
      status: 0,
      stderr: "",
      stdout: `${vector.ports.join(" ")}\n`,
    });
  });

  test("refuses a file that others can read", () => {
    const refused = run(all[0]!, {}, 0o640);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toContain("chmod 600");
  });

  test.each([
    ["a link that only rotates", { isStatic: false }, "--static"],
    ["a device that may not knock", { knock: undefined }, "may not knock"],
    ["no secret", { secret: "AAAA" }, "no link"],
    ["a host that nc would take for an option", { addresses: ["-V"] }, "no host"],
    ["a host with a space", { addresses: ["a b"] }, "no host"],
    ["no host", { addresses: [] }, "no host"],
    ["a single port", knock(10_000, 10_000), "range"],
    ["fewer than 1024 ports", knock(10_000, 11_022), "range"],
    ["a range the wrong way round", knock(32_767, 10_000), "range"],
    ["a last port that is none", knock(10_000, 65_536), "range"],
    ["a first port that is none", knock(0, 32_767), "range"],
    ["words for ports", knock("PATH", 32_767), "range"],
    ["a port in base 8", knock("010000", 32_767), "range"],
    ["no last port", knock(10_000, undefined), "range"],
    ["too few knocks", knock(10_000, 32_767, 2), "length"],
    ["too many knocks", knock(10_000, 32_767, 9), "length"],
    ["a word for a length", knock(10_000, 32_767, "x"), "length"],
  ])("refuses %s", (_, change, words) => {
    const refused = run(all[0]!, change);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toContain(words);
  });

  test("refuses a host of its call that nc would take for an option", () => {
    const refused = run(all[0]!, {}, 0o600, ["-V"]);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toContain("no host");
  });

  test.each(["host-1.example.org", "2001:db8::1", "::1"])("takes the host %s", (host) => {
    expect(run(all[0]!, {}, 0o600, [host])).toMatchObject({ status: 0, stderr: "" });
  });
});
