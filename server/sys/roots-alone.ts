import { lstatSync } from "node:fs";
import { dirname } from "node:path";

export const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** Whether nobody but root can write there, or put something else in its place. The path has no symbolic link in it. */
export function isRootsAlone(path: string): boolean {
  const { uid, mode } = lstatSync(path);
  return uid === 0 && (mode & OTHERS_WRITE) === 0 && isBelowRootsAlone(path);
}

/** Whether nobody but root, and whose it is, can put something else in its place. The path has no symbolic link in it. */
export function isBelowRootsAlone(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const above = lstatSync(folder);
    const isShut = (above.mode & OTHERS_WRITE) === 0 || (above.mode & STICKY) !== 0;
    if (above.uid !== 0 || !isShut) return false;
    if (folder === dirname(folder)) return true;
  }
}
