import { readdirSync, readFileSync, statfsSync } from "node:fs";
import type { Status } from "../admin/methods.ts";
import type { Settings } from "../config/settings.ts";
import { checkStateFile, checkStateFolder, journalFile, storeFile } from "../store/state-folder.ts";
import { clockState } from "../sys/clock.ts";
import { type Finding, fail, fine, warn } from "./finding.ts";

const LITTLE_SPACE = 16 * 2 ** 20;
/** TCP_LISTEN in include/net/tcp_states.h. */
const LISTEN = "0A";

export function lookAtClock(): Finding[] {
  const clock = clockState();
  if (clock?.synchronised === true) return [fine("clock", "synchronised")];
  const message =
    clock === undefined ? "the kernel does not tell whether it is synchronised" : "nothing keeps it right";
  return [
    warn(
      "clock",
      message,
      "install chrony or systemd-timesyncd: when it is off by a minute no device can open",
    ),
  ];
}

export function lookAtState({ server }: Settings): Finding[] {
  const checks = [
    checkStateFolder(server.state),
    checkStateFile(storeFile(server.state)),
    checkStateFile(journalFile(server.state)),
  ];
  const wrong = checks.flatMap((check) =>
    check.ok ? [] : [fail("permissions", check.error.message, check.error.hint ?? "tockd init makes it")],
  );
  if (wrong.length > 0) return wrong;
  const { bavail, bsize } = statfsSync(server.state);
  const space =
    bavail * bsize < LITTLE_SPACE
      ? [
          fail(
            "disk",
            `${server.state} has ${Math.floor((bavail * bsize) / 2 ** 20)} MiB left`,
            "make room: what cannot be written down opens nothing",
          ),
        ]
      : [];
  return [fine("permissions", `${server.state} is the daemon's alone`), ...space];
}

/** Strict reverse-path filtering drops what comes by another way than answers would go. */
export function lookAtReversePath(): Finding[] {
  const folder = "/proc/sys/net/ipv4/conf";
  const value = (name: string): number => Number(read(`${folder}/${name}/rp_filter`) ?? 0);
  const names = list(folder).filter((name) => !["all", "default", "lo"].includes(name));
  // The larger of the two counts (ip-sysctl).
  const strict = names.filter((name) => Math.max(value("all"), value(name)) === 1);
  if (strict.length === 0 || names.length < 2)
    return [fine("rp_filter", "no strict reverse-path filter in the way")];
  return [
    warn(
      "rp_filter",
      `strict on ${strict.slice(0, 4).join(", ")}: with several ways to the internet, packets by another one than the default route are dropped`,
      "where that is so: sysctl net.ipv4.conf.all.rp_filter=2",
    ),
  ];
}

export function lookAtConntrack(): Finding[] {
  const count = Number(read("/proc/sys/net/netfilter/nf_conntrack_count") ?? Number.NaN);
  const most = Number(read("/proc/sys/net/netfilter/nf_conntrack_max") ?? Number.NaN);
  if (Number.isNaN(count) || Number.isNaN(most)) {
    return [
      warn(
        "conntrack",
        "the kernel follows no connections yet, or does not tell",
        "the guard makes it do so; if that fails: modprobe nf_conntrack",
      ),
    ];
  }
  if (count < most * 0.9) return [fine("conntrack", `${count} of ${most} connections`)];
  return [
    fail(
      "conntrack",
      `${count} of ${most} connections: nearly full, new ones are dropped`,
      "sysctl net.netfilter.nf_conntrack_max",
    ),
  ];
}

/** Whether anything would answer behind the guard. */
export function lookAtListeners({ services }: Settings): Finding[] {
  const listening = new Set(
    ["tcp", "tcp6"].flatMap((name) =>
      (read(`/proc/self/net/${name}`) ?? "").split("\n").flatMap((line) => {
        const [, port, state] = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ ([0-9A-F]{2}) /.exec(line) ?? [];
        return port !== undefined && state === LISTEN ? [Number.parseInt(port, 16)] : [];
      }),
    ),
  );
  const here = services.filter(({ to, forward }) => to === undefined && forward === undefined);
  return here.flatMap(({ name, ports }) =>
    ports
      .filter(({ protocol, first, last }) => protocol === "tcp" && first === last && !listening.has(first))
      .map(({ first }) =>
        warn(
          "service",
          `nothing listens on tcp/${first} of ${name}`,
          "is it started? is it the right port? sshd -T | grep ^port",
        ),
      ),
  );
}

/** What the running daemon says of itself. */
export function lookAtDaemon(status: Status, now: number): Finding[] {
  const findings = [fine("daemon", `runs, version ${status.version}`)];
  if (status.fromLastGood)
    findings.push(
      warn(
        "daemon",
        "the configuration could not be used at its start, and the last good one is",
        "tockd check, then tockd reload",
      ),
    );
  if (status.guard === "on" && !status.openable)
    findings.push(
      fail(
        "devices",
        "the guard is on and no device can open it",
        "tockd device add NAME/laptop, then tock enroll there",
      ),
    );
  if (status.refusingUntil > now) {
    const seconds = Math.ceil((status.refusingUntil - now) / 1000);
    findings.push(
      warn(
        "journal",
        `not trusted yet: packets are refused for ${seconds} s more`,
        "wait: it is right by itself then",
      ),
    );
  } else if ((status.packets["journal"] ?? 0) > 0) {
    findings.push(
      warn(
        "journal",
        "packets could not be written down since the start",
        "is the disk full? the log says why",
      ),
    );
  } else findings.push(fine("journal", "trusted"));
  if (status.trail.trouble !== null) {
    findings.push(fail("audit", `cannot be written: ${status.trail.trouble}`, "is the disk full?"));
  }
  if (status.lost > 0)
    findings.push(
      warn("capture", `${status.lost} packets were lost`, "the machine is too busy, or somebody floods it"),
    );
  if (status.filter === "cbpf") {
    findings.push(
      warn(
        "capture",
        "the kernel's filter knows no tags, so junk costs more",
        "give the daemon CAP_BPF, or look at kernel.unprivileged_bpf_disabled",
      ),
    );
  }
  const seen =
    status.opened + status.refused + Object.values(status.packets).reduce((sum, count) => sum + count, 0);
  if (seen === 0 && status.upSeconds > 60) {
    findings.push(
      warn(
        "packets",
        "none has come since the start",
        "if a device has sent one: a router or a cloud firewall in front of this machine drops the SPA port; tock doctor on the device tells more",
      ),
    );
  }
  return findings;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
