import { derive, OTHER_SECRET, SECRET, SERVER_ID, STEP } from "./inputs.ts";

interface Shape {
  readonly first: number;
  readonly last: number;
  readonly length: number;
}

interface Drawn {
  readonly ports: number[];
  /** Words passed over, by reason, up to the last port taken. */
  readonly skipped: { unfair: number; repeat: number; blocked: number };
  readonly blocks: number;
}

const DEFAULT: Shape = { first: 10000, last: 32767, length: 4 };

/** Ordinary sequences, and for each rule of the drawing a step where it matters. */
export function knockSequences(): object[] {
  const narrow: Shape = { first: 10000, last: 11023, length: 8 };
  const wide: Shape = { first: 1, last: 65535, length: 8 };
  const unfairMost: Shape = { first: 10000, last: 42768, length: 8 };
  return [
    entry("defaults", SECRET, STEP, DEFAULT),
    entry("defaults, next step", SECRET, STEP + 1, DEFAULT),
    entry("defaults, other device", OTHER_SECRET, STEP, DEFAULT),
    entry("defaults, step 0", SECRET, 0, DEFAULT),
    entry("shortest", SECRET, STEP, { ...DEFAULT, length: 3 }),
    entry("longest", SECRET, STEP, { ...DEFAULT, length: 8 }),
    entry("widest range", SECRET, STEP, wide),
    entry("narrowest range", SECRET, STEP, narrow),
    search("a word is not below the fair limit", DEFAULT, ({ skipped }) => skipped.unfair > 0),
    search("a port comes a second time", narrow, ({ skipped }) => skipped.repeat > 0),
    search("port 10080 is passed over", DEFAULT, ({ skipped }) => skipped.blocked > 0),
    search("port 10080 is passed over in a narrow range", narrow, ({ skipped }) => skipped.blocked > 0),
    search("every rule at once", { ...narrow, first: 9990, last: 11089 }, ({ skipped }) => {
      return skipped.unfair > 0 && skipped.repeat > 0 && skipped.blocked > 0;
    }),
    search("the 64 bytes run out, block 1 is needed", unfairMost, ({ blocks }) => blocks === 2),
    search("the word 65535 in the widest range", wide, ({ skipped }) => skipped.unfair > 0),
  ];
}

/** The first step from 2026-01-01 on where the drawing is as wanted. */
function search(name: string, shape: Shape, wanted: (drawn: Drawn) => boolean): object {
  for (let step = STEP; step < STEP + 200_000; step++) {
    if (wanted(draw(SECRET, step, shape))) return entry(name, SECRET, step, shape);
  }
  throw new Error(`${name}: no such step`);
}

function entry(name: string, secret: Buffer, step: number, shape: Shape): object {
  const { ports, skipped, blocks } = draw(secret, step, shape);
  return {
    name: `${name}, step ${step}`,
    secret: secret.toString("hex"),
    serverId: SERVER_ID.toString("hex"),
    step,
    ...shape,
    ports,
    skipped,
    blocks,
  };
}

function draw(secret: Buffer, step: number, shape: Shape): Drawn {
  const span = shape.last - shape.first + 1;
  const limit = 65536 - (65536 % span);
  const ports = new Set<number>();
  const skipped = { unfair: 0, repeat: 0, blocked: 0 };
  let blocks = 0;
  while (ports.size < shape.length) {
    const block = derive(secret, SERVER_ID, "knock", step, 64, blocks++);
    for (let at = 0; at < 64 && ports.size < shape.length; at += 2) {
      const word = block.readUInt16BE(at);
      const port = shape.first + (word % span);
      if (word >= limit) skipped.unfair++;
      else if (port === 10080) skipped.blocked++;
      else if (ports.has(port)) skipped.repeat++;
      else ports.add(port);
    }
  }
  return { ports: [...ports], skipped, blocks };
}
