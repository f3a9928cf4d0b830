import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { tockHome } from "../home.ts";
import { makePrivateFolder, writePrivate } from "../private-file.ts";

/**
 * Opens a page in the user's browser. Its address is a secret, and what a program is called with can be seen by
 * everybody on the machine: so the browser is given a file that only this user can read, and that leads there.
 * Gives what removes the file.
 */
export function openBrowser(url: string, failed: () => void): () => void {
  const folder = join(tockHome(), "ui");
  makePrivateFolder(folder);
  const file = join(folder, `${process.pid}.html`);
  writePrivate(
    file,
    `<!doctype html><meta http-equiv="refresh" content="0; url=${url}"><title>Tock</title>\n`,
  );
  const [program, ...args] = opener(process.platform, pathToFileURL(file).href);
  const child = spawn(program, args, { stdio: "ignore", detached: true });
  child.once("error", failed);
  child.once("exit", (code) => {
    if (code !== 0) failed();
  });
  child.unref();
  return () => rmSync(file, { force: true });
}

export function opener(platform: NodeJS.Platform, url: string): readonly [string, ...string[]] {
  if (platform === "darwin") return ["open", url];
  return platform === "win32" ? ["rundll32", "url.dll,FileProtocolHandler", url] : ["xdg-open", url];
}
