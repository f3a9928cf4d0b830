import { runCommand } from "../firewall/command.ts";

/** What a command prints; "" where it cannot be run, or fails. For commands that change nothing. */
export type Look = (...argv: readonly [string, ...string[]]) => string;

export const look: Look = (...argv) => {
  const listed = runCommand(argv, () => undefined, "", "look");
  return listed.ok ? listed.value : "";
};
