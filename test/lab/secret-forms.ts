import { readdirSync, readFileSync } from "node:fs";

/** Every form in which a secret could stand in a text or a file. */
export function formsOf(
  name: string,
  secret: Uint8Array,
): { readonly name: string; readonly bytes: Buffer }[] {
  const buffer = Buffer.from(secret);
  const hex = buffer.toString("hex");
  const texts: Record<string, string> = {
    hex,
    "hex in capitals": hex.toUpperCase(),
    "spaced hex": hex.replace(/..(?!$)/g, "$& "),
    base32: base32(buffer),
    base64: buffer.toString("base64").replace(/=+$/, ""),
    base64url: buffer.toString("base64url"),
    "a list of numbers": [...buffer].join(","),
    "a spaced list of numbers": [...buffer].join(", "),
  };
  const forms = Object.entries(texts).map(([form, text]) => ({
    name: `${name} in ${form}`,
    bytes: Buffer.from(text),
  }));
  return [{ name: `${name}, raw`, bytes: buffer }, ...forms];
}

/** RFC 4648 §6, without padding. */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number.parseInt(five.padEnd(5, "0"), 2)])
    .join("");
}

/**
 * Looks again and again at the command line and the environment of every process that there is, the short-lived
 * ones too as far as luck has it, until it is stopped.
 */
export class ProcessWatch {
  readonly #seen = new Map<string, Buffer>();
  readonly #timer: NodeJS.Timeout;

  constructor(every = 25) {
    this.#timer = setInterval(() => this.#look(), every);
  }

  stop(): readonly Buffer[] {
    clearInterval(this.#timer);
    return [...this.#seen.values()];
  }

  #look(): void {
    for (const pid of readdirSync("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      for (const file of ["cmdline", "environ"]) {
        try {
          const bytes = readFileSync(`/proc/${pid}/${file}`);
          this.#seen.set(bytes.toString("latin1"), bytes);
        } catch {
          // It has ended.
        }
      }
    }
  }
}
