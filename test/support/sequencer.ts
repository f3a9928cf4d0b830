import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files that take longest, in that order. What starts last is waited for with the machine half idle, and Vitest
 * knows how long a file takes only where it ran before: never from a fresh clone.
 */
const LONGEST = [
  "e2e/package",
  "e2e/firewall-to",
  "e2e/bench",
  "e2e/faults",
  "e2e/faults-machine",
  "e2e/client-kill",
  "e2e/kernel-rules",
  "e2e/firewall-connections",
  "e2e/devices",
  "e2e/firewall-guard",
  "e2e/fixtures-managers",
  "e2e/fixtures-rules",
  "e2e/journal",
  "e2e/knock",
  "e2e/kernel-steps",
  "e2e/rotation-kill",
  "e2e/guard-trial",
  "e2e/kernel-knock",
  "e2e/firewall-repair",
  "e2e/kernel-survive",
  "e2e/junk",
  "web/open",
  "web/failures",
  "web/storage",
  "unit/example-sh",
];

/** Starts the longest files first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const group = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    return sorted.toSorted((a, b) => group(a) - group(b) || rank(a) - rank(b));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const index = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return index === -1 ? LONGEST.length : index;
}
