import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { base64url } from "../../shared/bytes.ts";
import { type Origin, unhex, vectors } from "../support/vectors.ts";

const program = fileURLToPath(new URL("../../docs/examples/tock-knock.sh", import.meta.url));
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

  const run = (vector: Vector, change: object = {}, mode = 0o600) => {
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
    return spawnSync("sh", [program, "-n", "-s", String(vector.step), file], { encoding: "utf8" });
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
  ])("refuses %s", (_, change, words) => {
    const refused = run(all[0]!, change);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toContain(words);
  });
});
