import type { Command } from "./command.ts";

/** Each command is loaded when it is called: opening a door should not wait for the rest of the program. */
export const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  open: () => import("./commands/open.ts"),
  close: () => import("./commands/close.ts"),
  ping: () => import("./commands/ping.ts"),
  doctor: () => import("./commands/doctor.ts"),
  ssh: () => import("./commands/ssh.ts"),
  proxy: () => import("./commands/proxy.ts"),
  "ssh-config": () => import("./commands/ssh-config.ts"),
  knock: () => import("./commands/knock.ts"),
  sequence: () => import("./commands/sequence.ts"),
  enroll: () => import("./commands/enroll.ts"),
  rotate: () => import("./commands/rotate.ts"),
  list: () => import("./commands/list.ts"),
  protect: () => import("./commands/protect.ts"),
  forget: () => import("./commands/forget.ts"),
  ui: () => import("./commands/ui.ts"),
  web: () => import("./commands/web.ts"),
};
