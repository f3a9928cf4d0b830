import { existsSync } from "node:fs";
import { ok, type Result } from "../../shared/result.ts";
import type { GuardState } from "../core/firewall.ts";
import type { NetlinkSocket } from "../sys/netlink.ts";
import type { Log } from "./command.ts";
import type { Chains, Shape } from "./guard.ts";
import type { TableName } from "./iptables-hooks.ts";
import { iptablesAccept, iptablesChains, iptablesNat } from "./iptables-rules.ts";
import { type IptablesKind, IptablesTable, kindOf, type Variant } from "./iptables-table.ts";

interface Parts {
  readonly variant: Variant;
  readonly socket: NetlinkSocket;
  readonly log: Log;
}

/** Beside the guard itself: what leads to other hosts. Mostly nothing, and then nobody looks at these tables. */
const BESIDE = { nat: iptablesNat, filter: iptablesAccept } as const;

/** Every table of this machine that holds something of the guard: of IPv4, and of IPv6 where the kernel has it. */
export class IptablesTables {
  /** The tables mangle, which hold the guard itself. */
  readonly guards: readonly [IptablesTable, ...IptablesTable[]];
  readonly #beside: readonly IptablesTable[];
  /** Whose tables these are. */
  readonly kind: () => Result<IptablesKind>;
  readonly #kinds: readonly (() => Result<IptablesKind>)[];

  constructor(parts: Parts) {
    const isV6 = existsSync("/proc/self/net/if_inet6");
    if (!isV6) parts.log("this kernel has no IPv6: the guard is for IPv4 alone");
    const { variant, log } = parts;
    const v4 = { ...parts, family: 4, kind: kindOf(4, variant, log) } as const;
    const v6 = { ...parts, family: 6, kind: kindOf(6, variant, log) } as const;
    const of = (table: TableName): readonly [IptablesTable, ...IptablesTable[]] => [
      new IptablesTable({ ...v4, table }),
      ...(isV6 ? [new IptablesTable({ ...v6, table })] : []),
    ];
    this.kind = v4.kind;
    this.#kinds = isV6 ? [v4.kind, v6.kind] : [v4.kind];
    this.guards = of("mangle");
    this.#beside = [...of("nat"), ...of("filter")];
  }

  /** Whether all of them, of both families, are tables of nf_tables, which counts their changes. */
  get inNft(): boolean {
    return this.#kinds.every((kind) => {
      const known = kind();
      return known.ok && known.value === "iptables-nft";
    });
  }

  /** The guard is put in first and taken out last: nothing leads anywhere without it. */
  put(shape: Shape): Result<void> {
    for (const table of this.guards) {
      const put = table.put(iptablesChains(shape, table.family));
      if (!put.ok) return put;
    }
    for (const table of this.#beside) {
      const chains = besideOf(table, shape);
      const put = chains.size === 0 ? table.removeLeft(this.#hasLed) : table.put(chains);
      if (!put.ok) return put;
    }
    return ok(undefined);
  }

  remove(): Result<void> {
    for (const table of this.guards) {
      const seen = table.state(new Map());
      if (!seen.ok) return seen;
    }
    for (const table of this.#beside) {
      const gone = table.removeLeft(this.#hasLed);
      if (!gone.ok) return gone;
    }
    for (const table of this.guards) {
      const gone = table.remove();
      if (!gone.ok) return gone;
    }
    return ok(undefined);
  }

  get #hasLed(): boolean {
    return this.guards.some((table) => table.hasLed);
  }

  /** Takes out a guard that another backend left, where there is one. */
  removeLeft(): Result<void> {
    for (const table of [...this.#beside, ...this.guards]) {
      const gone = table.removeLeft();
      if (!gone.ok) return gone;
    }
    return ok(undefined);
  }

  state(shape: Shape): Result<GuardState> {
    const wanted = [
      ...this.guards.map((table) => [table, iptablesChains(shape, table.family)] as const),
      ...this.#beside.map((table) => [table, besideOf(table, shape)] as const),
    ].filter(([, chains]) => chains.size > 0);
    const states: GuardState[] = [];
    for (const [table, chains] of wanted) {
      const state = table.state(chains);
      if (!state.ok) return state;
      states.push(state.value);
    }
    if (states.every((state) => state === "off")) return ok("off");
    return ok(states.every((state) => state === "on") ? "on" : "damaged");
  }
}

function besideOf({ name, family }: IptablesTable, shape: Shape): Chains {
  return name === "mangle" ? new Map() : BESIDE[name](shape, family);
}
