import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { readHead } from "./audit-trail.ts";
import { hashOf, NO_HASH, parseLine, type TrailLine, trailFile } from "./trail-file.ts";

/** Every line of the trail's files, oldest first, as texts. */
async function* textsOf(folder: string): AsyncGenerator<string> {
  let oldest = 0;
  while (existsSync(trailFile(folder, oldest + 1))) oldest++;
  for (let number = oldest; number >= 0; number--) {
    const file = trailFile(folder, number);
    if (existsSync(file)) yield* (await open(file)).readLines();
  }
}

/** Every line of the trail, oldest first. What is no line of a trail is left out. */
export async function* readTrail(folder: string): AsyncGenerator<TrailLine> {
  for await (const text of textsOf(folder)) {
    const line = parseLine(text);
    if (line !== undefined) yield line;
  }
}

/** What a look at every line found. */
export interface Verification {
  readonly lines: number;
  /** Number of the first line kept; those before it went with rotation. */
  readonly first: number;
  readonly last: number;
  /** Hash of the last line: whoever keeps it elsewhere can tell later that nothing before it was changed. */
  readonly hash: string;
  /** What is wrong, in words; none = the chain holds. */
  readonly problems: readonly string[];
}

/** Checks every hash of the trail, and that nothing is missing from its beginning and end. */
export async function verifyTrail(folder: string): Promise<Verification> {
  const head = readHead(folder);
  const problems: string[] = [];
  let first: number | undefined;
  let [lines, last, hash] = [0, 0, NO_HASH];
  let marked: string | undefined;
  for await (const text of textsOf(folder)) {
    const line = parseLine(text);
    if (line === undefined) {
      problems.push(`after line ${last}: ${JSON.stringify(text.slice(0, 60))} is no line of a trail`);
      continue;
    }
    if (first === undefined) first = line.seq;
    else if (line.seq !== last + 1 && !line.kind.startsWith("audit-")) {
      problems.push(`line ${last} is followed by line ${line.seq}`);
    } else if (line.prev !== hash)
      problems.push(`line ${line.seq} does not follow from the line before it: one was changed`);
    if (line.kind === "audit-missing") {
      problems.push(
        `lines ${String(line["from"])} to ${String(line["to"])} were gone when the daemon started at ${line.at}`,
      );
    }
    lines++;
    last = line.seq;
    hash = hashOf(text);
    if (last === head?.seq) marked = hash;
  }
  if (head === undefined) {
    if (lines > 0)
      problems.push("audit.head is missing or damaged: whether lines are gone from the end is not known");
  } else {
    if (first !== undefined && first > head.first)
      problems.push(`lines ${head.first} to ${first - 1} are gone from the beginning`);
    if (last < head.seq) problems.push(`lines ${last + 1} to ${head.seq} are gone from the end`);
    else if (marked !== head.hash) problems.push(`line ${head.seq} is not the one that was written`);
  }
  return { lines, first: first ?? 0, last, hash, problems };
}
