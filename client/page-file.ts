import { existsSync, readFileSync } from "node:fs";
import { TockError } from "../shared/errors.ts";

/** The web client: beside the built program, or where a build of this tree puts it. */
export function readPage(): string {
  const places = ["tock.html", "../dist/tock.html"].map((place) => new URL(place, import.meta.url));
  const file = places.find((place) => existsSync(place));
  if (file !== undefined) return readFileSync(file, "utf8");
  throw new TockError(
    "not-found",
    "tock.html is missing beside the program",
    "from a source tree: npm run build",
  );
}
