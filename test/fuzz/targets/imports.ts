import { parseSettings } from "../../../server/config/parse.ts";
import { importFwknop } from "../../../server/import/fwknop.ts";
import type { Imported, Mistake } from "../../../server/import/imported.ts";
import { importKnockd } from "../../../server/import/knockd.ts";
import { importedToml } from "../../../server/import/toml.ts";
import { ascii } from "../../../shared/bytes.ts";
import type { Result } from "../../../shared/result.ts";
import type { Target } from "../loop.ts";

/** Other programs' configurations. What is imported is a configuration that Tock takes, or there is a mistake to tell. */

const SERVER = { name: "home", addresses: ["192.0.2.1"] };
const SECRET = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4";

function check(from: string, text: string, imported: Result<Imported, readonly Mistake[]>): void {
  if (!imported.ok) {
    if (imported.error.length === 0) throw new Error("no reason");
    return;
  }
  const toml = importedToml(from, imported.value, SERVER);
  const settings = parseSettings(toml, "tockd.toml");
  // Two files cannot be taken whole, which tockd says with the line: one with nothing to open, and one that opens so many
  // ports that none are left to knock on.
  const known = settings.ok || imported.value.services.length === 0 || settings.error.every(isCrowded);
  if (!known) throw new Error(`not taken: ${settings.error[0]?.message}: ${JSON.stringify(text)}`);
  // As the name of a program it is no secret.
  const isSecret = text.split("\n").every((line) => !line.includes(SECRET) || /^\s*KEY/i.test(line));
  if (isSecret && toml.includes(SECRET)) throw new Error("the secret was carried over");
  if (imported.value.notes.some((note) => JSON.stringify(note).includes(SECRET)))
    throw new Error("a note shows it");
}

const isCrowded = ({ message }: { readonly message: string }): boolean =>
  message.includes("overlaps the knock range");

const text = (input: Uint8Array): string => Buffer.from(input).toString("utf8");

const KNOCKD = `[options]\n\tUseSyslog\n\n[openSSH]\n\tsequence    = 7000,8000:udp,9000\n\tseq_timeout = 5
\tcommand     = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n\ttcpflags    = syn
\tcmd_timeout = 10\n\tstop_command = /sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n`;
const ACCESS = `SOURCE ANY\nOPEN_PORTS tcp/22, udp/1194\nREQUIRE_USERNAME alice\nKEY_BASE64 ${SECRET}\nFW_ACCESS_TIMEOUT 60
SOURCE: 192.0.2.0/24;\nOPEN_PORTS: tcp/443;\nKEY: ${SECRET};\nACCESS_EXPIRE: 12/31/2030;\nMAX_FW_TIMEOUT: 300;\n`;

const PARTS = [
  "OPEN_PORTS ",
  "SOURCE ",
  "tcp/0",
  "udp/65536",
  "%",
  "%IP%",
  "[",
  "]",
  "=",
  ";",
  "\n",
  "0.0.0.0/0",
  "::/0",
];
const MORE = [
  "RESTRICT_PORTS ",
  "CMD_CYCLE_OPEN ",
  "/etc/passwd",
  '"',
  "\\",
  "--dport ",
  "1:65535",
  "-1",
  "99999999999",
  "é",
];
const words = [...PARTS, ...MORE].map((word) => Uint8Array.from(Buffer.from(word)));

export const IMPORT_TARGETS: readonly Target[] = [
  {
    name: "knockd",
    seeds: [ascii(KNOCKD)],
    words,
    run: (input) => check("knockd.conf", text(input), importKnockd(text(input), "owner")),
  },
  {
    name: "fwknop",
    seeds: [ascii(ACCESS)],
    words,
    run: (input) => check("access.conf", text(input), importFwknop(text(input))),
  },
];
