import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { errnoName } from "../sys/libc.ts";
import { NetlinkSocket } from "../sys/netlink.ts";
import { fromText, NLM_F_DUMP, netfilterAttributes, valueOf } from "../sys/netlink-message.ts";
import { runCommand, toolPath } from "./command.ts";
import { listNames } from "./ipset.ts";
import { nft } from "./nft-message.ts";

/** What was found out about this machine, without changing anything. */
export interface Facts {
  /** Programs of this list that are not there. */
  readonly missing: readonly string[];
  /** What `iptables -V` says of itself. */
  readonly variant: "nf_tables" | "legacy" | undefined;
  /** Why the kernel has no ipset or nf_tables for us; undefined = it has. */
  readonly ipset: string | undefined;
  readonly nfTables: string | undefined;
  /** nf_tables tables that no iptables program made, such as `inet firewalld`. */
  readonly nativeTables: readonly string[];
  /** Programs that keep rules of their own here. */
  readonly managers: readonly Manager[];
}

export type Manager = "ufw" | "firewalld" | "Docker";

/** The backend for this machine, and why, in words for a person. */
export interface Detection {
  readonly backend: "iptables" | "nftables";
  readonly reason: string;
}

const IPTABLES = ["iptables", "iptables-restore"];
const IP6TABLES = ["ip6tables", "ip6tables-restore"];
const IPTABLES_TABLES = new Set(["filter", "nat", "mangle", "raw", "security"]);
/** Family numbers of nfgenmsg (NFPROTO_*). */
const FAMILIES: Record<number, string> = {
  1: "inet",
  2: "ip",
  3: "arp",
  5: "netdev",
  7: "bridge",
  10: "ip6",
};

/** Looks at this machine and chooses. An error says what each backend lacks. */
export function detectBackend(): Result<Detection> {
  return chooseBackend(gatherFacts());
}

/** What works here: programs on PATH (and the folders where firewall tools live), netfilter in the kernel. */
export function gatherFacts(): Facts {
  const wanted = [...IPTABLES, ...(existsSync("/proc/self/net/if_inet6") ? IP6TABLES : []), "nft"];
  const version = runCommand(["iptables", "-V"], () => undefined, "", "look");
  const socket = NetlinkSocket.open();
  const why = (outcome: Result<unknown, { code: number }>): string | undefined =>
    outcome.ok ? undefined : errnoName(outcome.error.code);
  const sets = socket.ok ? listNames(socket.value) : socket;
  const tables = socket.ok ? socket.value.dump(nft("getTable", 0, NLM_F_DUMP)) : socket;
  const named = (tables.ok ? tables.value : []).map(
    (part) => `${FAMILIES[part.body[0] ?? 0] ?? "?"} ${fromText(valueOf(netfilterAttributes(part), 1))}`,
  );
  if (socket.ok) socket.value.close();
  return {
    missing: wanted.filter((program) => !isThere(program)),
    variant: version.ok ? (version.value.includes("nf_tables") ? "nf_tables" : "legacy") : undefined,
    ipset: why(sets),
    nfTables: why(tables),
    nativeTables: named.filter(isNative),
    managers: managersHere(named),
  };
}

/** By what they leave where they work: ufw's switch, firewalld's table or process, Docker's bridge. */
function managersHere(tables: readonly string[]): Manager[] {
  const found: Manager[] = [];
  if (/^ENABLED=yes/m.test(textOf("/etc/ufw/ufw.conf"))) found.push("ufw");
  const firewalld = textOf("/run/firewalld.pid").trim();
  const isRunning = firewalld !== "" && textOf(`/proc/${firewalld}/cmdline`).includes("firewalld");
  if (tables.includes("inet firewalld") || isRunning) found.push("firewalld");
  if (/^ *docker0:/m.test(textOf("/proc/self/net/dev"))) found.push("Docker");
  return found;
}

/** Chooses by the facts: what the machine's own firewall is made of, and iptables where nothing says more. */
export function chooseBackend(facts: Facts): Result<Detection> {
  const iptables = lackOf(facts, "iptables");
  const nftables = lackOf(facts, "nftables");
  if (iptables !== undefined && nftables !== undefined) {
    const hint = "install iptables or nftables, and run this as root on a kernel with netfilter";
    return err(
      new TockError("firewall", `no backend works here: iptables: ${iptables}; nftables: ${nftables}`, hint),
    );
  }
  if (iptables !== undefined)
    return ok({ backend: "nftables", reason: `iptables does not work here: ${iptables}` });
  const variant = facts.variant === "legacy" ? "iptables-legacy" : "iptables on nf_tables";
  const { managers } = facts;
  if (nftables !== undefined) {
    const reason = `${[variant, ...managers].join(", ")}; nftables does not work here: ${nftables}`;
    return ok({ backend: "iptables", reason });
  }
  if (managers.includes("firewalld") && facts.nativeTables.includes("inet firewalld"))
    return ok({ backend: "nftables", reason: "firewalld keeps this machine's firewall, with nftables" });
  if (managers.length > 0)
    return ok({
      backend: "iptables",
      reason: `${managers.join(" and ")} keep${managers.length === 1 ? "s" : ""} rules here, with ${variant}`,
    });
  const [native] = facts.nativeTables;
  if (native !== undefined)
    return ok({
      backend: "nftables",
      reason: `this machine's firewall is nftables: it has the table ${native}`,
    });
  return ok({ backend: "iptables", reason: `${variant}; no other program has an nftables table here` });
}

function lackOf(facts: Facts, backend: "iptables" | "nftables"): string | undefined {
  const programs = backend === "nftables" ? ["nft"] : [...IPTABLES, ...IP6TABLES];
  const missing = programs.filter((program) => facts.missing.includes(program));
  if (missing.length > 0) return `${missing.join(", ")} not found`;
  if (backend === "iptables" && facts.variant === undefined) return "iptables does not run";
  const kernel = backend === "nftables" ? facts.nfTables : facts.ipset;
  if (kernel === undefined) return undefined;
  return `the kernel says ${kernel} to ${backend === "nftables" ? "nf_tables" : "ipset"}`;
}

function isNative(table: string): boolean {
  const [family = "", name = ""] = table.split(" ");
  if (table === "inet tock") return false;
  return !((family === "ip" || family === "ip6") && IPTABLES_TABLES.has(name));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function isThere(program: string): boolean {
  return toolPath()
    .split(delimiter)
    .some((folder) => {
      try {
        accessSync(join(folder, program), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
