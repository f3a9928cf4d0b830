import type { Group, Row } from "../lib/result.ts";
import { rounded } from "../lib/stats.ts";

/** A goal, what came out, and whether it was met; undefined = this run cannot tell. */
export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean | undefined;
}

/** Every goal, from the figures of one run. */
export function goalsOf(groups: readonly Group[]): Goal[] {
  const find = (id: Group["id"], name: string, when: string): Row | undefined =>
    groups
      .find((group) => group.id === id)
      ?.rows.find((row) => row.name === name && row.when.startsWith(when));
  const p50 = (name: string, when: string): number => find("knock", name, when)?.samples?.p50 ?? Number.NaN;
  const figure = (id: Group["id"], name: string, when: string, key: string): number =>
    Number(find(id, name, when)?.figures?.[key] ?? Number.NaN);
  const spa = "tockd iptables SPA";
  const junkRows = groups.find(({ id }) => id === "junk")?.rows ?? [];
  const flatOut = junkRows.filter(
    ({ name, figures }) =>
      figures?.["devices"] === 100_000 && figures["asked"] === 0 && name !== "known tag, forged",
  );
  const worst = Math.max(...flatOut.map(({ figures }) => Number(figures?.["cpuPercent"])));
  const lost = flatOut.reduce((sum, row) => sum + (row.lost ?? 0), 0);
  const least = Math.min(...flatOut.map(({ figures }) => Number(figures?.["rate"])));
  const perPacket = (devices: number): number =>
    Number(
      junkRows.find(
        ({ name, figures }) =>
          name === "wrong tag" && figures?.["devices"] === devices && figures["asked"] === 400_000,
      )?.figures?.["nsPerPacket"],
    );
  const opens = groups.find(({ id }) => id === "opens")?.rows ?? [];
  const capacity = Math.max(...opens.map(({ figures }) => Number(figures?.["opensPerCpuSecond"])));
  const sustained = Math.max(
    0,
    ...opens.filter(({ lost }) => lost === 0).map(({ figures }) => Number(figures?.["rate"])),
  );
  const knocked = (name: string): number => p50(name, "idle") / p50(spa, "idle");
  const junkLost = find("knock", spa, "junk")?.lost ?? Number.NaN;
  const ratio = p50(spa, "junk") / p50(spa, "idle");
  const toC = p50(spa, "idle") / p50("C", "idle");
  const process = (name: string): number => find("client", name, "warm")?.samples?.p50 ?? Number.NaN;
  const beyond = (name: string): number =>
    (process(name) - process("round trip")) / process("node, an empty file");
  const slice = figure("growth", "devices", "100000", "sliceMaxMs");
  const step = figure("growth", "devices", "100000", "stepPercent");
  const grant =
    figure("growth", "grants iptables", "10000", "openMicros") /
    figure("growth", "grants iptables", "1", "openMicros");
  const nft =
    figure("growth", "grants nftables", "10000", "openMicros") /
    figure("growth", "grants nftables", "1", "openMicros");
  const idle = figure("standing", "tockd iptables", "idle", "cpuPercent");
  const rss =
    figure("standing", "tockd iptables", "idle", "rssMb") /
    figure("standing", "node, an empty program", "idle", "rssMb");
  return [
    goal(
      "knock to open, idle, against fwknopd",
      "≥ 400 × faster",
      times(knocked("fwknopd")),
      knocked("fwknopd") >= 400,
    ),
    goal(
      "the same against knockd's last knock",
      "≥ 100 × faster",
      times(knocked("knockd")),
      knocked("knockd") >= 100,
    ),
    goal("the same against the C program", "≤ 2 ×", times(toC), toC <= 2),
    goal(
      "under 100,000 junk packets/s",
      "no loss, ≤ 3 × idle",
      `${junkLost} lost, ${times(ratio)}`,
      junkLost === 0 && ratio <= 3,
    ),
    goal(
      "junk survived with 100,000 devices",
      "all that the sender makes, < 5 % of a core",
      `${Math.round(least).toLocaleString("en")}/s, ${lost} genuine lost, ${rounded(worst)} %`,
      lost === 0 && worst < 5,
    ),
    goal(
      "cost of a junk packet, 1 → 1,000,000 devices",
      "flat within 1.5 ×",
      `${perPacket(1)} → ${perPacket(1_000_000)} ns`,
      perPacket(1_000_000) <= 1.5 * Math.max(perPacket(1), 10),
    ),
    goal(
      "opens/s on one core",
      "≥ 10,000",
      `${Math.round(capacity).toLocaleString("en")} per core-second; ${sustained.toLocaleString("en")}/s sent without a loss`,
      capacity >= 10_000,
    ),
    goal(
      "step change at 100,000 devices",
      "≤ 5 ms, < 3 % of a core",
      `${slice} ms, ${step} %`,
      slice <= 5 && step < 3,
    ),
    goal(
      "grant with 10,000 open",
      "≤ 1.5 × the first",
      `iptables ${times(grant)}, nftables ${times(nft)}`,
      grant <= 1.5 && nft <= 1.5,
    ),
    goal(
      "`tock open` as a process",
      "≤ 1.3 × an empty Node process, plus the round trip",
      times(beyond("tock open")),
      beyond("tock open") <= 1.3,
    ),
    goal(
      "idle",
      "< 0.1 % of a core, RSS ≤ 1.6 × an empty Node process",
      `${idle} %, ${times(rss)}`,
      idle < 0.1 && rss <= 1.6,
    ),
  ];
}

function goal(what: string, aim: string, measured: string, met: boolean): Goal {
  return /NaN|Infinity|∞/.test(measured)
    ? { what, goal: aim, measured: "not measured", met: undefined }
    : { what, goal: aim, measured, met };
}

function times(ratio: number): string {
  return `${rounded(ratio)} ×`;
}
