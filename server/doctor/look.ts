import { runCommand } from "../firewall/command.ts";

/** What a command prints: "" where it is not installed, undefined where it fails. For commands that change nothing. */
export type Look = (...argv: readonly [string, ...string[]]) => string | undefined;

export const look: Look = (...argv) => {
  const listed = runCommand(argv, () => undefined, "", "look");
  if (listed.ok) return listed.value;
  return listed.error.message === `${argv[0]}: not found` ? "" : undefined;
};
