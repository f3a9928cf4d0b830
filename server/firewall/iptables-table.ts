import { readFileSync } from "node:fs";
import { ok, type Result } from "../../shared/result.ts";
import type { GuardState } from "../core/firewall.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import { type Command, type Log, runCommand } from "./command.ts";
import type { Chains } from "./guard.ts";
import {
  type Held,
  HOOKS,
  type Hook,
  heldIn,
  isBare,
  isWhole,
  madeOf,
  putLines,
  removeLines,
  type TableName,
} from "./iptables-hooks.ts";
import { INPUT_CHAIN } from "./iptables-rules.ts";
import { isThere, type Made, missingParts, removeMade, type Spot } from "./nft-leftovers.ts";

export type Variant = "" | "-legacy" | "-nft";

/** Whose tables an iptables program changes. */
export type IptablesKind = "iptables-nft" | "iptables-legacy";

interface TableParts {
  readonly family: 4 | 6;
  readonly table: TableName;
  readonly variant: Variant;
  /** See {@link kindOf}. */
  readonly kind: () => Result<IptablesKind>;
  readonly socket: NetlinkSocket;
  readonly log: Log;
}

/** One table of one family, through the iptables programs. */
export class IptablesTable {
  readonly family: 4 | 6;
  readonly name: TableName;
  readonly #program: string;
  readonly #hooks: readonly Hook[];
  readonly #socket: NetlinkSocket;
  readonly #log: Log;
  readonly #kind: () => Result<IptablesKind>;
  #led = false;

  constructor({ family, table, variant, kind, socket, log }: TableParts) {
    this.family = family;
    this.name = table;
    this.#program = programOf(family, variant);
    this.#kind = kind;
    this.#hooks = HOOKS[table];
    this.#socket = socket;
    this.#log = log;
  }

  /**
   * Puts the chains in, in one transaction: whatever generation was there is replaced, chains of services that are gone go, and
   * the chains that the kernel calls begin with one jump to the chain of Tock's that is for them.
   */
  put(chains: Chains): Result<void> {
    return this.#twice(() => {
      const held = this.#look();
      if (!held.ok || isWhole(this.#hooks, held.value, chains)) return held.ok ? ok(undefined) : held;
      const made = this.#missing(held.value);
      if (!made.ok) return made;
      const done = this.#restore(putLines(this.#hooks, chains, held.value, made.value));
      if (!done.ok) return done;
      const unused = this.#hooks.filter(({ entry }) => !chains.has(entry));
      this.#removeMade(unused, held.value, "chain");
      return done;
    });
  }

  /** Takes out the jumps and every chain of Tock's, and the empty table and chains if Tock had made them. */
  remove(): Result<void> {
    return this.#twice(() => {
      const held = this.#look();
      if (!held.ok || isBare(held.value)) return held.ok ? ok(undefined) : held;
      const gone = this.#restore(removeLines(held.value));
      if (gone.ok) this.#removeMade(this.#hooks, held.value, "table");
      return gone;
    });
  }

  /**
   * Like {@link remove}, without a look where nothing of Tock's can be: iptables-legacy makes a table by looking at it, and tells root
   * alone which there are. `otherwise`: whether to look where nobody tells.
   */
  removeLeft(otherwise = false): Result<void> {
    const kind = this.#kind();
    if (!kind.ok) return kind;
    const mayHold =
      kind.value === "iptables-nft"
        ? this.#hooks.some(({ entry }) => isThere(this.#socket, this.#spot(entry)))
        : (hasLegacyTable(this.family, this.name) ?? otherwise);
    return mayHold ? this.remove() : ok(undefined);
  }

  state(chains: Chains): Result<GuardState> {
    const held = this.#look();
    if (!held.ok) return held;
    if (isBare(held.value)) return ok("off");
    return ok(isWhole(this.#hooks, held.value, chains) ? "on" : "damaged");
  }

  /** The chains of walks, and those that hold a rule; undefined = the guard that leads to them is not there. */
  walks(): Result<Pick<Held, "walks" | "ruled"> | undefined> {
    const held = this.#look();
    if (!held.ok) return held;
    return ok(held.value.jumps.has("PREROUTING") ? held.value : undefined);
  }

  /** Changes the walks in one transaction, which is not logged: it holds sequences. */
  changeWalks(lines: readonly string[]): Result<void> {
    this.#log(`[#] ${this.#restoring().join(" ")} (walks of knock sequences)`);
    const done = runCommand(this.#restoring(), this.#log, this.#transaction(lines), "look");
    return done.ok ? ok(undefined) : done;
  }

  /** Whether it was ever seen here that something leads to other hosts: then the tables beside this one hold their part of it. */
  get hasLed(): boolean {
    return this.#led;
  }

  #look(): Result<Held> {
    const kind = this.#kind();
    if (!kind.ok) return kind;
    // A look by iptables-legacy would make the table.
    if (kind.value === "iptables-legacy" && hasLegacyTable(this.family, this.name) === false)
      return ok(heldIn("", this.#hooks));
    const listed = runCommand([this.#program, "-w", "5", "-t", this.name, "-S"], this.#log, "", "look");
    if (!listed.ok) return listed;
    const held = heldIn(listed.value, this.#hooks);
    this.#led ||= held.marks.has(INPUT_CHAIN);
    return ok(held);
  }

  #restore(lines: readonly string[]): Result<void> {
    const done = runCommand(this.#restoring(), this.#log, this.#transaction(lines));
    return done.ok ? ok(undefined) : done;
  }

  #restoring(): Command {
    return [`${this.#program}-restore`, "-w", "5", "--noflush"];
  }

  #transaction(lines: readonly string[]): string {
    return `${[`*${this.name}`, ...lines, "COMMIT"].join("\n")}\n`;
  }

  /** What this put will make beside the guard, by chain; remembered in the jumps' comments, so that taking it out leaves nothing. */
  #missing({ jumps }: Held): Result<ReadonlyMap<string, Made>> {
    const kind = this.#kind();
    if (!kind.ok) return kind;
    const missing = (chain: string): Made => {
      const [jump] = jumps.get(chain) ?? [];
      if (jump !== undefined) return madeOf(jump);
      return kind.value === "iptables-nft" ? missingParts(this.#socket, this.#spot(chain)) : "nothing";
    };
    return ok(new Map(this.#hooks.map(({ chain }) => [chain, missing(chain)])));
  }

  /** `most` is "chain" where the table still holds something. */
  #removeMade(hooks: readonly Hook[], { jumps }: Held, most: "table" | "chain"): void {
    const parts = hooks.map(({ chain }) => {
      const made = madeOf(jumps.get(chain)?.[0]);
      return { spot: this.#spot(chain), made: made === "table" ? most : made };
    });
    removeMade(this.#socket, parts, this.#log);
  }

  #spot(chain: string): Spot {
    return { family: this.family, table: this.name, chain };
  }

  /** Another program may change the table between the look and the change; then the change is refused whole. */
  #twice(attempt: () => Result<void>): Result<void> {
    const first = attempt();
    return first.ok ? first : attempt();
  }
}

function programOf(family: 4 | 6, variant: Variant): string {
  return `${family === 4 ? "iptables" : "ip6tables"}${variant}`;
}

/** Tells whose tables the programs change, as they say of themselves; they are asked once. */
export function kindOf(family: 4 | 6, variant: Variant, log: Log): () => Result<IptablesKind> {
  let known: IptablesKind | undefined = variant === "" ? undefined : `iptables${variant}`;
  return () => {
    if (known === undefined) {
      const version = runCommand([programOf(family, variant), "-V"], log, "", "look");
      if (!version.ok) return version;
      known = version.value.includes("nf_tables") ? "iptables-nft" : "iptables-legacy";
    }
    return ok(known);
  };
}

/** Whether iptables-legacy has the table; undefined = the list is root's, and this is not root. */
function hasLegacyTable(family: 4 | 6, table: TableName): boolean | undefined {
  try {
    const names = readFileSync(`/proc/self/net/ip${family === 4 ? "" : "6"}_tables_names`, "utf8");
    return names.split("\n").includes(table);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? false : undefined;
  }
}
