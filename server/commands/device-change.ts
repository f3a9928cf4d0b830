import type { Command } from "commander";
import { unwrap } from "../../shared/result.ts";
import { json } from "../ui.ts";
import { type Context, settingsInUse, withStore } from "./context.ts";
import { notifyDaemon } from "./notify.ts";
import { deviceArgument } from "./values.ts";

interface JsonFlag {
  readonly json?: boolean;
}

/** `tockd device remove`, `disable` and `enable`. A running daemon closes the grants of what is removed or disabled. */
export function addDeviceChange(parent: Command, context: Context): void {
  parent
    .command("remove")
    .description("forget a device and its secrets; its open grants are closed")
    .argument("<user/device>")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  tockd device remove alice/phone\n")
    .action(async (name: string, flags: JsonFlag, command: Command) => {
      const settings = settingsInUse(command, context.ui);
      const id = deviceArgument(name);
      await withStore(settings, (store) => unwrap(store.remove(id)));
      await notifyDaemon(settings, [id], context.ui);
      if (flags.json === true) context.ui.out(json({ device: id, state: "removed", changed: true }));
      else context.ui.note(`${id} is removed\n`);
    });
  addSwitch(
    parent,
    context,
    "disable",
    "a device opens nothing until it is enabled again; its open grants are closed",
  );
  addSwitch(parent, context, "enable", "let a disabled device open again");
}

function addSwitch(parent: Command, { ui }: Context, verb: "enable" | "disable", description: string): void {
  parent
    .command(verb)
    .description(description)
    .argument("<user/device>")
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  tockd device ${verb} alice/phone\n`)
    .action(async (name: string, flags: JsonFlag, command: Command) => {
      const settings = settingsInUse(command, ui);
      const id = deviceArgument(name);
      const enabled = verb === "enable";
      let already = false;
      await withStore(settings, (store) =>
        unwrap(
          store.update(id, (device) => {
            already = device.enabled === enabled;
            return { ...device, enabled };
          }),
        ),
      );
      await notifyDaemon(settings, [id], ui);
      if (flags.json === true) ui.out(json({ device: id, state: `${verb}d`, changed: !already }));
      else ui.note(`${id} is ${verb}d${already ? " already" : ""}\n`);
    });
}
