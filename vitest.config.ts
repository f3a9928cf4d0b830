import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/sequencer.ts";
import { lack } from "./test/support/root.ts";

// These make network namespaces. Where that cannot be, no name matches: each test is reported as skipped.
const rootOnly = lack === undefined ? {} : { testNamePattern: /(?!)/ };

// Real packets on a shared machine: a test that fails is tried again, and named at the end where that was needed.
const retry = process.env["CI"] === "true" ? 2 : 0;

// Two cores: unit tests take both; then the end-to-end tests, which wait half of their time, three files at a time;
// then those with browsers, which mostly wait too.
export default defineConfig({
  test: {
    reporters: ["default", "./test/support/reporter.ts"],
    allowOnly: false,
    restoreMocks: true,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/{unit,property,vectors}/**/*.test.ts"],
          testTimeout: 30_000,
          maxWorkers: 2,
          retry,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 3,
          retry,
          sequence: { groupOrder: 1 },
          ...rootOnly,
        },
      },
      {
        test: {
          name: "web",
          include: ["test/web/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          retry,
          sequence: { groupOrder: 2 },
          ...rootOnly,
        },
      },
    ],
  },
});
