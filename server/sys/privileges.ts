import { readFileSync } from "node:fs";
import { TockError } from "../../shared/errors.ts";
import { groupsOf } from "./accounts.ts";
import { define, errnoName } from "./libc.ts";

/** linux/capability.h: the guard and grants; packet and raw sockets; the filter that knows tags. The same as in the packaged unit. */
const KEPT = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_BPF: 39 } as const;
const CAP_SETGID = 6;
const CAP_SETUID = 7;
const MOST_CAPABILITIES = 64;

/** linux/prctl.h */
const PR_SET_DUMPABLE = 4;
const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;

/** _LINUX_CAPABILITY_VERSION_3 */
const VERSION_3 = 0x2008_0522;
/** An id that stays as it is. */
const SAME = 0xffff_ffff;

const prctlRaw = define("int prctl(int option, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)");
const prctl = (option: number, a = 0, b = 0): number => prctlRaw(option, a, b, 0, 0);
const capset = define("int capset(const void *header, const void *data)");
// glibc and musl change the ids of all threads, unlike the system calls themselves.
const setresuid = define("int setresuid(uint32_t real, uint32_t effective, uint32_t saved)");
const setresgid = define("int setresgid(uint32_t real, uint32_t effective, uint32_t saved)");

/** A user of this machine whom the process may become. */
export interface Identity {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Neither this process nor what it starts can gain anything by a program with a set-user-id bit; it leaves no core, and
 * no other process of its user can look into its memory; what it makes is for its user alone; and SIGUSR1 does
 * not open Node's debugger, by which anybody on the machine could take it over.
 */
export function closeOff(): void {
  prctl(PR_SET_NO_NEW_PRIVS, 1);
  prctl(PR_SET_DUMPABLE, 0);
  process.umask(0o077);
  process.on("SIGUSR1", () => undefined);
}

/** Runs `body` with access(2), and nothing else, answering for that user. Needs root; throws where it cannot be that user. */
export function askingAs<T>({ name, uid, gid }: Identity, body: () => T): T {
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([gid, ...groupsOf(name)]);
  try {
    must("setresgid", setresgid(gid, SAME, SAME));
    must("setresuid", setresuid(uid, SAME, SAME));
    return body();
  } finally {
    setresuid(0, SAME, SAME);
    setresgid(0, SAME, SAME);
    process.setgroups?.(groups);
  }
}

/** Whether this process may become another user. */
export function mayChangeUser(): boolean {
  const both = (1n << BigInt(CAP_SETGID)) | (1n << BigInt(CAP_SETUID));
  return (capabilities("CapEff") & both) === both;
}

/**
 * Starts this program again, in this same process, as that user: with no more capabilities than the daemon needs, and no way
 * to others. All threads of the new program are alike, which they would not be by changing this one. Needs root; a
 * failure throws, and then the process is good for nothing else.
 */
export function startAgainAs({ name, uid, gid }: Identity): never {
  const permitted = capabilities("CapPrm");
  const kept = Object.values(KEPT).filter((capability) => (permitted & (1n << BigInt(capability))) !== 0n);
  // Needs CAP_SETPCAP, which a container may lack: then the set stays as it is, and no_new_privs bars the way.
  for (let capability = 0; capability < MOST_CAPABILITIES; capability++) {
    if (!kept.some((one) => one === capability)) prctl(PR_CAPBSET_DROP, capability);
  }
  must("keep capabilities", prctl(PR_SET_KEEPCAPS, 1));
  process.setgroups?.([gid, ...groupsOf(name)]);
  must("setresgid", setresgid(gid, gid, gid));
  must("setresuid", setresuid(uid, uid, uid));
  must("capset", capset(Uint32Array.of(VERSION_3, 0), capabilityWords(kept)));
  for (const capability of kept) {
    must("ambient capability", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability));
  }
  must("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1));
  const { execPath, execArgv, argv, env } = process;
  if (process.execve === undefined) throw new Error("this Node cannot replace itself");
  return process.execve(execPath, [execPath, ...execArgv, ...argv.slice(1)], env);
}

/** struct __user_cap_data_struct, twice: effective, permitted and inheritable, the lower 32 bits first. */
function capabilityWords(capabilities: readonly number[]): Uint32Array {
  const set = capabilities.reduce((bits, capability) => bits | (1n << BigInt(capability)), 0n);
  const [low, high] = [Number(set & 0xffff_ffffn), Number(set >> 32n)];
  return Uint32Array.of(low, low, low, high, high, high);
}

/** One of the sets in /proc/self/status, as bits. */
export function capabilities(set: "CapPrm" | "CapEff" | "CapAmb"): bigint {
  const text = readFileSync("/proc/self/status", "latin1");
  return BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(text)?.[1] ?? "0"}`);
}

function must(what: string, code: number): void {
  if (code < 0) throw new TockError("permission", `cannot leave root: ${what}: ${errnoName(code)}`);
}
