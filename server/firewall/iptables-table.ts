import { existsSync } from "node:fs";
import { ok, type Result } from "../../shared/result.ts";
import type { GuardState } from "../core/firewall.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import { type Command, type Log, runCommand } from "./command.ts";
import { type Chains, marksOf, sameMarks } from "./guard.ts";
import { WALK_CHAIN } from "../rules/names.ts";
import { CHAIN_PREFIX, GUARD_CHAIN } from "./iptables-rules.ts";
import { type Made, missingParts, removeMade } from "./nft-leftovers.ts";

export type Variant = "" | "-legacy" | "-nft";

/** Targets after which a packet still meets the next rule, or is gone for good: before the guard they do no harm. */
const HARMLESS = new Set(
  ["CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "DROP", "DSCP", "HL", "LOG", "MARK", "NFLOG"].concat([
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TEE",
    "TOS",
    "TTL",
  ]),
);

/** What `iptables -t mangle -S` says, as far as it concerns the guard. */
interface Held {
  /** Comments of the rules in Tock's chains. */
  readonly marks: ReadonlyMap<string, readonly string[]>;
  /** The rules of PREROUTING that jump to the guard, as printed. */
  readonly jumps: readonly string[];
  /** Nothing before the first jump could let a packet past it. */
  readonly first: boolean;
  /** Chains of walks of knocks, and those of them that hold a rule. */
  readonly walks: readonly string[];
  readonly ruled: ReadonlySet<string>;
}

/** The tables mangle of this machine: of IPv4, and of IPv6 where the kernel has it. */
export type MangleTables = readonly [IptablesTable, ...IptablesTable[]];

export function mangleTables(parts: { variant: Variant; socket: NetlinkSocket; log: Log }): MangleTables {
  const v4 = new IptablesTable({ ...parts, family: 4 });
  if (existsSync("/proc/self/net/if_inet6")) return [v4, new IptablesTable({ ...parts, family: 6 })];
  parts.log("this kernel has no IPv6: the guard is for IPv4 alone");
  return [v4];
}

/** The table mangle of one family, through the iptables programs. */
export class IptablesTable {
  readonly family: 4 | 6;
  readonly #program: string;
  readonly #socket: NetlinkSocket;
  readonly #log: Log;
  #place: "iptables-nft" | "iptables-legacy" | undefined;

  constructor(parts: { family: 4 | 6; variant: Variant; socket: NetlinkSocket; log: Log }) {
    this.family = parts.family;
    this.#program = `${parts.family === 4 ? "iptables" : "ip6tables"}${parts.variant}`;
    this.#socket = parts.socket;
    this.#log = parts.log;
  }

  /**
   * Puts the chains in, in one transaction: whatever generation was there is replaced, chains of services that are gone go, and
   * PREROUTING begins with one jump to the guard.
   */
  put(chains: Chains): Result<void> {
    return this.#twice(() => {
      const held = this.#look();
      if (!held.ok || isWhole(held.value, chains)) return held.ok ? ok(undefined) : held;
      const made = this.#missing(held.value);
      if (!made.ok) return made;
      return this.#restore(putLines(chains, held.value, made.value));
    });
  }

  /** Takes out the jump and every chain of Tock's, and the empty table or chain if Tock had made it. */
  remove(): Result<void> {
    return this.#twice(() => {
      const held = this.#look();
      if (!held.ok) return held;
      const { jumps, marks, walks } = held.value;
      if (jumps.length === 0 && marks.size === 0) return ok(undefined);
      const names = [...marks.keys(), ...walks];
      const lines = [
        ...jumps.map((jump) => `-D PREROUTING ${jump}`),
        ...names.map((name) => `-F ${name}`),
        ...names.map((name) => `-X ${name}`),
      ];
      const gone = this.#restore(lines);
      if (gone.ok) removeMade(this.#socket, this.family, madeOf(jumps[0]), this.#log);
      return gone;
    });
  }

  state(chains: Chains): Result<GuardState> {
    const held = this.#look();
    if (!held.ok) return held;
    const { jumps, marks } = held.value;
    if (jumps.length === 0 && marks.size === 0) return ok("off");
    return ok(isWhole(held.value, chains) ? "on" : "damaged");
  }

  /** Which of the two tables mangle this is, as the program says of itself. */
  place(): Result<"iptables-nft" | "iptables-legacy"> {
    if (this.#place === undefined) {
      const version = runCommand([this.#program, "-V"], this.#log, "", "look");
      if (!version.ok) return version;
      this.#place = version.value.includes("nf_tables") ? "iptables-nft" : "iptables-legacy";
    }
    return ok(this.#place);
  }

  /** The chains of walks, and those that hold a rule; undefined = the guard that leads to them is not there. */
  walks(): Result<Pick<Held, "walks" | "ruled"> | undefined> {
    const held = this.#look();
    if (!held.ok) return held;
    return ok(held.value.jumps.length === 0 ? undefined : held.value);
  }

  /** Changes the walks in one transaction, which is not logged: it holds sequences. */
  changeWalks(lines: readonly string[]): Result<void> {
    const command: Command = [`${this.#program}-restore`, "-w", "5", "--noflush"];
    this.#log(`[#] ${command.join(" ")} (walks of knock sequences)`);
    const done = runCommand(command, this.#log, `${["*mangle", ...lines, "COMMIT"].join("\n")}\n`, "look");
    return done.ok ? ok(undefined) : done;
  }

  #look(): Result<Held> {
    const listed = runCommand([this.#program, "-w", "5", "-t", "mangle", "-S"], this.#log, "", "look");
    return listed.ok ? ok(heldIn(listed.value)) : listed;
  }

  #restore(lines: readonly string[]): Result<void> {
    const command: Command = [`${this.#program}-restore`, "-w", "5", "--noflush"];
    const done = runCommand(command, this.#log, `${["*mangle", ...lines, "COMMIT"].join("\n")}\n`);
    return done.ok ? ok(undefined) : done;
  }

  /** What this put will make beside the guard; remembered in the jump's comment, so that taking it out leaves nothing. */
  #missing(held: Held): Result<Made> {
    if (held.jumps.length > 0) return ok(madeOf(held.jumps[0]));
    const place = this.place();
    if (!place.ok) return place;
    return ok(place.value === "iptables-nft" ? missingParts(this.#socket, this.family) : "nothing");
  }

  /** Another program may change the table between the look and the change; then the change is refused whole. */
  #twice(attempt: () => Result<void>): Result<void> {
    const first = attempt();
    return first.ok ? first : attempt();
  }
}

function isWhole({ first, jumps, marks }: Held, chains: Chains): boolean {
  return first && jumps.length === 1 && sameMarks(marks, marksOf(chains));
}

function putLines(chains: Chains, held: Held, made: Made): string[] {
  const marks = marksOf(chains);
  const stale = [...held.marks.keys()].filter((name) => !chains.has(name));
  const inPlace = held.first && held.jumps.length === 1;
  const leadsToWalks = [...chains.values()].flat().some((rule) => rule.endsWith(`-j ${WALK_CHAIN}`));
  const leftWalks = leadsToWalks ? [] : held.walks;
  return [
    ...(leadsToWalks && !held.walks.includes(WALK_CHAIN) ? [`-N ${WALK_CHAIN}`] : []),
    ...[...chains.keys(), ...stale].map((name) => `:${name} - [0:0]`),
    ...[...chains].flatMap(([name, rules]) =>
      rules.map(
        (rule, index) => `-A ${name} ${rule} -m comment --comment "${marks.get(name)?.[index] ?? ""}"`,
      ),
    ),
    ...(inPlace ? [] : held.jumps.map((jump) => `-D PREROUTING ${jump}`)),
    ...(inPlace
      ? []
      : [
          `-I PREROUTING 1 -m comment --comment "tock${made === "nothing" ? "" : ` made ${made}`}" -j ${GUARD_CHAIN}`,
        ]),
    ...leftWalks.map((name) => `-F ${name}`),
    ...[...stale, ...leftWalks].map((name) => `-X ${name}`),
  ];
}

function heldIn(listing: string): Held {
  const marks = new Map<string, string[]>();
  const jumps: string[] = [];
  const walks: string[] = [];
  const ruled = new Set<string>();
  let first = true;
  for (const line of listing.split("\n")) {
    const [, command, chain = "", rule = ""] = /^-([NA]) (\S+) ?(.*)$/.exec(line) ?? [];
    if (chain.startsWith(CHAIN_PREFIX)) {
      const list = marks.get(chain) ?? [];
      if (command === "A") list.push(/--comment "([^"]*)"/.exec(rule)?.[1] ?? "");
      marks.set(chain, list);
    } else if (chain.startsWith(WALK_CHAIN)) {
      if (command === "N") walks.push(chain);
      else ruled.add(chain);
    } else if (chain === "PREROUTING" && rule !== "") {
      const target = /(?:^| )-([jg]) (\S+)/.exec(rule);
      if (target?.[2] === GUARD_CHAIN) jumps.push(rule);
      else if (jumps.length === 0 && target && !(target[1] === "j" && HARMLESS.has(target[2] ?? "")))
        first = false;
    }
  }
  return { marks, jumps, first, walks, ruled };
}

function madeOf(jump: string | undefined): Made {
  const [, made] = /--comment "tock made (table|chain)"/.exec(jump ?? "") ?? [];
  return made === "table" || made === "chain" ? made : "nothing";
}
