import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import type { SshSession } from "../../../server/sys/ssh-session.ts";

const file = new URL("../../../server/sys/ssh-session.ts", import.meta.url).pathname;
const script = `import("${file}").then(({ sshSession }) => console.log(JSON.stringify(sshSession() ?? null)))`;
const environment = { PATH: process.env["PATH"], SSH_CONNECTION: "203.0.113.9 4022 203.0.113.7 22" };

/** What a process finds that a shell in an SSH session starts by `start`. */
function found(...start: string[]): SshSession | null {
  const argv = [...start, process.execPath, "-e", script];
  // The shell must stay, as a login shell does: with one command alone it would become that command.
  const shell = ["-c", '"$@"; exit $?', "sh", ...argv];
  return JSON.parse(execFileSync("sh", shell, { env: environment, encoding: "utf8" })) as SshSession | null;
}

const session = { client: "203.0.113.9", clientPort: 4022, server: "203.0.113.7", serverPort: 22 };

test("a session is known by the environment", () => {
  expect(found()).toMatchObject(session);
});

test.runIf(process.getuid?.() === 0)(
  "one whose environment su - took away is known by its login shell",
  () => {
    expect(found("env", "-i")).toMatchObject(session);
  },
);

test.runIf(process.getuid?.() === 0)("a session into another network than this one does not count", () => {
  expect(found("unshare", "-n", "env", "-i")).toBeNull();
});
