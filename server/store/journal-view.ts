import { readFileSync } from "node:fs";
import { ReplayWindow } from "../core/replay-window.ts";
import { SpentSteps } from "../core/spent-steps.ts";
import { Address } from "../../shared/address.ts";
import { timeStep } from "../../shared/brand.ts";
import { decodeHeader, decodeSlot, HEADER, SLOT } from "./journal-file.ts";
import { spentIn } from "./live-journal.ts";

/** What the journal knows was used, read without changing or locking it. What cannot be read is as if it were empty. */
export function viewJournal(path: string): ReplayWindow<never> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return new ReplayWindow(new SpentSteps());
  }
  const header = decodeHeader(bytes.subarray(0, HEADER));
  if (header === undefined) return new ReplayWindow(new SpentSteps());
  const slots = Array.from({ length: Math.floor((bytes.length - HEADER) / SLOT) }, (_, number) => {
    const at = HEADER + number * SLOT;
    return decodeSlot(bytes.subarray(at, at + SLOT), number) ?? ({ kind: "free" } as const);
  });
  const window = new ReplayWindow<never>(spentIn(header, slots));
  for (const slot of slots) {
    if (slot.kind !== "use") continue;
    const isKnown = slot.source.some((byte) => byte !== 0);
    window.record(
      { step: timeStep(slot.step), id: slot.id },
      isKnown ? new Address(slot.source) : undefined,
      undefined,
    );
  }
  return window;
}
