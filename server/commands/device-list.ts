import type { Command } from "commander";
import { unwrap } from "../../shared/result.ts";
import { json, table } from "../ui.ts";
import { type Context, settingsInUse, withStore } from "./context.ts";
import { type DeviceJson, DeviceView } from "./device-view.ts";
import { deviceArgument } from "./values.ts";

interface Flags {
  readonly json?: boolean;
}

/** `tockd device list` and `tockd device show`. */
export function addDeviceList(parent: Command, context: Context): void {
  const { ui } = context;
  parent
    .command("list")
    .description("every device: state, age of its secret, last use and from where")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  tockd device list\n  tockd device list --json | jq length\n")
    .action(async (flags: Flags, command: Command) => {
      const settings = settingsInUse(command, ui);
      const { devices } = await withStore(settings, (store) => unwrap(store.loadAll()));
      devices.sort((a, b) => (a.id < b.id ? -1 : 1));
      const view = new DeviceView(settings, context.now());
      if (flags.json) ui.out(json(devices.map((device) => view.json(device))));
      else if (devices.length === 0) ui.note("no device is enrolled; tockd device add enrols one\n");
      else ui.out(table([DeviceView.heading, ...devices.map((device) => view.row(device))]));
    });
  parent
    .command("show")
    .description("everything about one device but its secrets")
    .argument("<user/device>")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  tockd device show alice/phone\n")
    .action(async (name: string, flags: Flags, command: Command) => {
      const settings = settingsInUse(command, ui);
      const id = deviceArgument(name);
      const device = await withStore(settings, (store) => unwrap(store.get(id)));
      const view = new DeviceView(settings, context.now()).json(device);
      ui.out(flags.json ? json(view) : table(Object.keys(view).map((key) => [key, words(view[key])])));
    });
}

function words(value: DeviceJson[string] | undefined): string {
  if (value === undefined || value === null) return "-";
  if (typeof value === "object") return value.join(", ");
  return typeof value === "boolean" ? (value ? "yes" : "no") : `${value}`;
}
