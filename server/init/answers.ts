import { quote } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import type { ConfigMistake } from "../config/mistake.ts";
import { parseSettings } from "../config/parse.ts";
import type { Settings } from "../config/settings.ts";
import { configTemplate, type TemplateInput } from "../config/template.ts";
import { Failures } from "../ui.ts";

/** What is needed for a first configuration, from flags or from a person: checked as the file will be. */

const FLAGS = {
  "server.name": "--name",
  "server.addresses": "--address",
  "server.port": "--port",
  "server.state": "--state",
  "server.socket": "--socket",
  "firewall.backend": "--backend",
  "firewall.allow": "--allow",
  services: "--service",
  users: "--user",
} as const;

/** Part of the configuration that one question, or flag, is about. */
export type Topic = keyof typeof FLAGS;

/** The settings that come out; throws every mistake, each with the flag that it is about. */
export function settingsFrom(text: string, file: string): Settings {
  const settings = parseSettings(text, file);
  if (settings.ok) return settings.value;
  throw new Failures(
    settings.error.map((mistake) => {
      const topic = topicOf(mistake);
      const { detail, message, hint } = mistake;
      return new TockError("usage", topic === undefined ? message : `${FLAGS[topic]}: ${detail}`, hint);
    }),
  );
}

/** Why the answers on one topic cannot be taken, if so. */
export function mistakeIn(topic: Topic, answers: TemplateInput): TockError | undefined {
  const twice = namedTwice(answers);
  if (twice?.topic === topic) return new TockError("usage", `${quote(twice.name)} is named twice`);
  const settings = parseSettings(configTemplate(answers), "");
  if (settings.ok) return undefined;
  const mistake = settings.error.find((mistake) => topicOf(mistake) === topic);
  return mistake && new TockError("usage", mistake.detail, mistake.hint);
}

/** TOML knows each name once, so this shows before the text is made. */
export function namedTwice({
  services,
  users,
}: TemplateInput): { readonly topic: Topic; readonly name: string; readonly flag: string } | undefined {
  for (const [topic, names] of [
    ["services", services.map(({ name }) => name)],
    ["users", users],
  ] as const) {
    const name = names.find((each, index) => names.indexOf(each) < index);
    if (name !== undefined) return { topic, name, flag: FLAGS[topic] };
  }
  return undefined;
}

/** `web=tcp/80,tcp/443` */
export function parseService(text: string): TemplateInput["services"][number] | undefined {
  const [name = "", ports, ...rest] = text.split("=");
  if (ports === undefined || rest.length > 0) return undefined;
  return { name, ports: ports.split(",").map((port) => port.trim()) };
}

function topicOf({ path }: ConfigMistake): Topic | undefined {
  const topics = Object.keys(FLAGS) as Topic[];
  return topics.find((topic) => topic === path[0] || topic === path.slice(0, 2).join("."));
}
