import type { Target } from "./loop.ts";
import { ADMIN_TARGETS } from "./targets/admin.ts";
import { EXPLAIN_TARGETS } from "./targets/explain.ts";
import { FILE_TARGETS } from "./targets/files.ts";
import { FRAME_TARGETS } from "./targets/frames.ts";
import { IMPORT_TARGETS } from "./targets/imports.ts";
import { KNOCK_TARGETS } from "./targets/knocks.ts";
import { PACKET_TARGETS } from "./targets/packets.ts";
import { ROW_TARGETS } from "./targets/rows.ts";
import { TEXT_TARGETS } from "./targets/texts.ts";

/** Everything that is fuzzed, by what strangers reach first. */
export const TARGETS: readonly Target[] = [
  ...FRAME_TARGETS,
  ...PACKET_TARGETS,
  ...KNOCK_TARGETS,
  ...TEXT_TARGETS,
  ...ADMIN_TARGETS,
  ...FILE_TARGETS,
  ...ROW_TARGETS,
  ...EXPLAIN_TARGETS,
  ...IMPORT_TARGETS,
];
