import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { addresses } from "./vectors/addresses.ts";
import { answerWords } from "./vectors/answer-words.ts";
import { enrolments } from "./vectors/enrolment.ts";
import { keySchedule } from "./vectors/key-schedule.ts";
import { knockSequences } from "./vectors/knock-sequence.ts";
import { packets } from "./vectors/packets.ts";
import { published } from "./vectors/published.ts";
import { replies } from "./vectors/replies.ts";
import { rotations } from "./vectors/rotation.ts";
import { stunRequests, stunSuccesses } from "./vectors/stun.ts";

// Makes test/vectors/*.json, the same bytes on every run, with nothing from shared/.
// With --check nothing is written: exit code 1 says that a file is not what this script makes.

const FILES: Record<string, () => object> = {
  published,
  "key-schedule": () => ({ vectors: keySchedule() }),
  "knock-sequence": () => ({ vectors: knockSequences() }),
  packets: () => ({ vectors: packets() }),
  stun: () => ({ requests: stunRequests(), successes: stunSuccesses() }),
  replies: () => ({ vectors: replies() }),
  "answer-words": () => ({ vectors: answerWords() }),
  rotation: () => rotations(),
  enrolment: () => ({ vectors: enrolments() }),
  addresses: () => ({ vectors: addresses() }),
};

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const folder = new URL("../test/vectors/", import.meta.url);
mkdirSync(folder, { recursive: true });

for (const [name, make] of Object.entries(FILES)) {
  const file = new URL(`${name}.json`, folder);
  const text = `${JSON.stringify(make(), undefined, 2)}\n`;
  if (!values.check) writeFileSync(file, text);
  else if (text !== read(file)) {
    console.error(
      `make-vectors: test/vectors/${name}.json is not what this script makes; run it without --check`,
    );
    process.exitCode = 1;
  }
}

function read(file: URL): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
