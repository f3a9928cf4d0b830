import { writeFileSync } from "node:fs";
import type { SerializedError } from "vitest";
import type { Reporter, TestModule, Vitest } from "vitest/node";
import { lack } from "./root.ts";

/**
 * Ends the run with the names of the tests that were skipped and one line `N passed, N failed[, N skipped]`.
 * A file or suite that fails outside its tests, and an error nobody caught, each count as one failure.
 * The failed tests and those that needed another try are named last, with the first thing that went wrong, where a cut log still shows them.
 * With TEST_SUMMARY=FILE the counts are written there as JSON instead, for a script that has a line of its own.
 */
export default class SummaryReporter implements Reporter {
  #chosenByName = false;

  onInit(vitest: Vitest): void {
    this.#chosenByName = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    const skipped: string[] = [];
    const again: string[] = [];
    const broken: string[] = [];
    for (const module of modules) {
      counts.failed += module.errors().length;
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        const [first] = test.result().errors ?? [];
        const why = (first?.message ?? "").split("\n")[0]?.slice(0, 200);
        const what = `  ${module.relativeModuleId}: ${test.fullName}\n    ${why}`;
        if (test.diagnostic()?.flaky === true) again.push(what);
        if (state === "passed") counts.passed++;
        else if (state === "failed") {
          counts.failed++;
          broken.push(what);
        } else {
          counts.skipped++;
          skipped.push(`  ${module.relativeModuleId}: ${test.fullName}`);
        }
      }
    }
    if (again.length > 0) console.log(`Passed only when tried again:\n${again.join("\n")}\n`);
    if (skipped.length > 0 && !this.#chosenByName) console.log(`${heading()}\n${skipped.join("\n")}\n`);
    if (broken.length > 0) console.log(`Failed:\n${broken.join("\n")}\n`);
    const file = process.env["TEST_SUMMARY"];
    if (file === undefined) console.log(summaryLine(counts));
    else writeFileSync(file, `${JSON.stringify(counts)}\n`);
  }
}

function heading(): string {
  return lack === undefined ? "Skipped:" : `Skipped (test/e2e and test/web need ${lack}):`;
}

function summaryLine(counts: { passed: number; failed: number; skipped: number }): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}
