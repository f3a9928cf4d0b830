import type { Command } from "commander";
import type { UnixMillis } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { loadSettings } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { settingsToStart, type Start } from "../last-good.ts";
import { DeviceStore } from "../store/device-store.ts";
import type { Person } from "../person.ts";
import { type ExitCode, Failures, type Ui } from "../ui.ts";

/** What a command has of the world besides files. */
export interface Context {
  readonly ui: Ui;
  now(): UnixMillis;
  /** So many bytes from the system's generator. */
  random(bytes: number): Uint8Array;
  readonly hostname: string;
  /** Who can be asked; undefined where there is no terminal. */
  readonly person: Person | undefined;
  /** The exit code of a command that is done and yet has something other than 0 to say. */
  exitWith(code: ExitCode): void;
}

/** The file that `--config` names. */
export function configFile(command: Command): string {
  return command.optsWithGlobals<{ config: string }>().config;
}

/** The settings of `--config`; throws every mistake at once. */
export function settingsOf(command: Command): Settings {
  const settings = loadSettings(configFile(command));
  if (settings.ok) return settings.value;
  throw new Failures(settings.error);
}

/** The same, or, where the file cannot be used, those that the daemon goes by instead; says so. */
export function settingsInUse(command: Command, ui: Ui): Settings {
  return startOf(command, ui).settings;
}

/** The same, with what is wrong with the file. */
export function startOf(command: Command, ui: Ui): Start {
  const file = configFile(command);
  const start = settingsToStart(file);
  if (!start.ok) throw new Failures(start.error);
  if (start.value.mistakes.length > 0)
    ui.note(`tock: warning: ${file} cannot be used, this goes by the last good configuration: tockd check\n`);
  return start.value;
}

/** Runs `body` on the device store and closes it, whatever happens. */
export async function withStore<T>(
  settings: Settings,
  body: (store: DeviceStore) => T | Promise<T>,
): Promise<T> {
  const store = unwrap(DeviceStore.open(settings.server.state));
  try {
    return await body(store);
  } finally {
    store.close();
  }
}
