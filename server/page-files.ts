import { existsSync, readdirSync, readFileSync } from "node:fs";
import { TockError } from "../shared/errors.ts";

/** The web client: beside the built program, or where a build of this tree puts it. */
function place(name: string): URL {
  const places = [name, `../dist/${name}`].map((each) => new URL(each, import.meta.url));
  const found = places.find((each) => existsSync(each));
  if (found !== undefined) return found;
  throw new TockError(
    "not-found",
    `${name} is missing beside the program`,
    "from a source tree: npm run build",
  );
}

/** The page as one file that needs nothing else. */
export function readPage(): Buffer {
  return readFileSync(place("tock.html"));
}

/** The page for a web server, with what makes it an app: file name → content. */
export function readSite(): ReadonlyMap<string, Buffer> {
  const folder = place("web/");
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder))]));
}
