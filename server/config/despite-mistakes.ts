import { readTrusted } from "./load.ts";
import { parseSettings } from "./parse.ts";
import type { Settings } from "./settings.ts";

/** The keys that say where the guard's state and daemon are, as `tockd init` writes them. */
const PLACES = /^[ \t]*(state|socket)[ \t]*=[ \t]*"([^"\\]+)"/gm;

/**
 * What `tockd guard off`, and whoever asks the running daemon, needs where the configuration has mistakes: the places that the
 * file names, if they can be made out, and else the usual ones. Whoever made a mistake in the file may have no other way in.
 * A file that others could have written names no place: it would be theirs.
 */
export function settingsDespiteMistakes(file: string): Settings {
  const trusted = readTrusted(file);
  const text = trusted.ok ? trusted.value.toString() : "";
  const places = new Map([...text.matchAll(PLACES)].map(([, key = "", path = ""]) => [key, path]));
  const lines = [...places].map(([key, path]) => `${key} = "${path}"`);
  const base = '[server]\nname = "unknown"\naddresses = ["127.0.0.1"]\n';
  const rest = '\n[services.unknown]\nports = ["tcp/22"]\n';
  const found = parseSettings(`${base}${lines.join("\n")}${rest}`, file);
  return found.ok ? found.value : unwrapFirst(parseSettings(`${base}${rest}`, file));
}

function unwrapFirst(settings: ReturnType<typeof parseSettings>): Settings {
  if (settings.ok) return settings.value;
  throw settings.error[0] ?? new Error("the usual places were refused");
}
