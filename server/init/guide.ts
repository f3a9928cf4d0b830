import { type DeviceId, parseDeviceId } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { TemplateInput } from "../config/template.ts";
import type { Detection } from "../firewall/detect.ts";
import type { Person } from "../person.ts";
import { printError, type Ui } from "../ui.ts";
import { mistakeIn, parseService, type Topic } from "./answers.ts";
import type { SshPorts } from "./ssh-ports.ts";

/** The questions of `tockd init`: each has a good answer in brackets, and a wrong one is asked again with the reason. */

/** What was found out about this machine. */
export interface Found {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ssh: SshPorts;
  readonly firewall: Detection;
  readonly user: string;
}

export interface Guided {
  readonly answers: TemplateInput;
  readonly device: DeviceId | undefined;
}

const NONE = "none";

/** Asks everything that a first configuration needs. Undefined: the person thought better of it. Nothing is made here. */
export async function guide(person: Person, ui: Ui, found: Found, file: string): Promise<Guided | undefined> {
  ui.note("a few questions; Enter takes what is in brackets, and Ctrl-C ends it with nothing changed\n\n");
  let answers: TemplateInput = {
    name: found.name,
    addresses: found.addresses,
    port: undefined,
    services: [{ name: "ssh", ports: found.ssh.ports.map((port) => `tcp/${port}`) }],
    users: [found.user],
    knock: false,
    state: undefined,
    socket: undefined,
    backend: found.firewall.backend,
    allow: [],
  };
  const fill = async (
    topic: Topic,
    question: string,
    usual: string,
    read: (text: string) => Result<Partial<TemplateInput>>,
  ): Promise<void> => {
    answers = await untilRight(person, ui, question, usual, (text) => {
      const part = read(text);
      if (!part.ok) return part;
      const next = { ...answers, ...part.value };
      const mistake = mistakeIn(topic, next);
      return mistake === undefined ? ok(next) : err(mistake);
    });
  };

  await fill("server.name", "what people call this server", found.name, (name) => ok({ name }));
  await fill("server.addresses", "where clients send packets", found.addresses.join(" "), (text) =>
    ok({ addresses: words(text, /[\s,]+/) }),
  );
  ui.note(`${found.ssh.reason}\n`);
  const ssh = answers.services.map(({ name, ports }) => `${name}=${ports.join(",")}`).join(" ");
  await fill("services", "what to protect, as name=ports", ssh, servicesFrom);
  await fill("users", "first user, who may open all of that", found.user, (name) => ok({ users: [name] }));
  const [user = ""] = answers.users;
  const device = await untilRight(person, ui, `first device of ${user}, or ${NONE}`, "laptop", (text) =>
    text === NONE ? ok<DeviceId | undefined>(undefined) : parseDeviceId(`${user}/${text}`),
  );
  ui.note(`${found.firewall.reason}\n`);
  await fill("firewall.backend", "iptables or nftables", found.firewall.backend, (backend) =>
    ok({ backend }),
  );
  await fill("firewall.allow", `networks that never need to ask, or ${NONE}`, NONE, (text) =>
    ok({ allow: text === NONE ? [] : words(text, /[\s,]+/) }),
  );
  const isWanted = await yes(person, ui, `make ${file}, the server's key and the state folder?`, true);
  return isWanted ? { answers, device } : undefined;
}

/** Yes or no. */
export function yes(person: Person, ui: Ui, question: string, usual: boolean): Promise<boolean> {
  return untilRight(person, ui, question, usual ? "yes" : "no", (text) => {
    if (/^y(es)?$/i.test(text)) return ok(true);
    if (/^no?$/i.test(text)) return ok(false);
    return err(new TockError("usage", "expected yes or no"));
  });
}

async function untilRight<T>(
  person: Person,
  ui: Ui,
  question: string,
  usual: string,
  read: (text: string) => Result<T>,
): Promise<T> {
  for (;;) {
    const typed = (await person.ask(`${question}${usual === "" ? "" : ` [${usual}]`}: `)).trim();
    const answer = read(typed === "" ? usual : typed);
    if (answer.ok) return answer.value;
    printError(answer.error, ui);
  }
}

function servicesFrom(text: string): Result<Partial<TemplateInput>> {
  const services = words(text).map((word) => parseService(word));
  if (services.every((service) => service !== undefined)) return ok({ services });
  const hint = "for example ssh=tcp/22 web=tcp/80,tcp/443";
  return err(new TockError("usage", "expected name=ports, with spaces between services", hint));
}

function words(text: string, between = /\s+/): string[] {
  return text.split(between).filter((word) => word !== "");
}
