import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { must } from "../lab/exec.ts";

const program = (name: string): string => fileURLToPath(new URL(`../bench/${name}.ts`, import.meta.url));

interface Row {
  readonly name: string;
  readonly when: string;
  readonly samples?: { readonly count: number };
  readonly figures?: Readonly<Record<string, number | null>>;
}

// It proves that everything runs. How fast that was says nothing, and is not looked at.
test("the benchmarks run, and make their page", { timeout: 600_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "tock-bench-test-"));
  try {
    const out = join(folder, "bench.json");
    const node = process.execPath;
    await must([node, program("main"), "--quick", "--out", out], { timeout: 580_000 });
    const { groups } = JSON.parse(readFileSync(out, "utf8")) as {
      groups: { id: string; rows: Row[] }[];
    };
    expect(groups.map(({ id }) => id)).toEqual(["knock", "junk", "opens", "growth", "client", "standing"]);
    for (const { id, rows } of groups) {
      expect(rows.length, id).toBeGreaterThan(0);
      for (const row of rows) expect(row.samples ?? row.figures, `${id} ${row.name}`).toBeDefined();
    }
    const knocks = groups[0]?.rows ?? [];
    const opened = new Set(knocks.flatMap(({ name, samples }) => ((samples?.count ?? 0) > 0 ? [name] : [])));
    for (const name of [
      "C",
      "knockd",
      "fwknopd",
      "tockd iptables SPA",
      "tockd nftables SPA IPv6",
      "tockd iptables knock",
    ])
      expect(opened).toContain(name);
    await must([node, program("report"), "--run", out, "--docs", folder]);
    const page = readFileSync(join(folder, "BENCHMARKS.md"), "utf8");
    expect(page).toContain("## 6. Standing cost");
    const plots = [...page.matchAll(/\]\((bench\/[a-z-]+\.svg)\)/g)].map(([, file = ""]) => file);
    expect(plots.length).toBeGreaterThan(5);
    for (const file of plots)
      expect(readFileSync(join(folder, file), "utf8")).toMatch(/^<svg [^]*<\/svg>\n$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
