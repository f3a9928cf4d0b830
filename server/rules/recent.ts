import type { Network } from "../../shared/address.ts";
import type { TimeStep } from "../../shared/brand.ts";
import type { StepWalks, Walk } from "../core/knock-rules.ts";
import type { Chains } from "../firewall/guard.ts";
import { doorOf, stepChain, stepList, WALK_CHAIN, walkList, WON_LIST } from "./names.ts";

/** Seconds that may pass between one knock and the next. */
export const STAGE_SECONDS = 10;

/** Ports that -m multiport takes. */
const MULTIPORT = 15;

export type Protocol = "tcp" | "udp";

/**
 * The walks of one step as iptables rules, with nothing but xt_recent to remember by.
 *
 * A source that knocked the first port is in the list of stage 1. With the second port it moves to the list of stage 2, and
 * so on; the same port again changes nothing; any other port of the range takes it out of every list. The last port, from
 * the last stage, puts it in the lists of the doors, if the walk was not completed before: the list `used` has one entry
 * for everybody (mask 0), which each try adds a time stamp to, and only the first finds a single one. Two at the same moment
 * find two, and neither gets in.
 *
 * Only sources that are on a walk, and packets to a first port, meet the rules of every device: a flood of others costs little.
 */
export function recentChains(
  { step, walks }: StepWalks,
  family: 4 | 6,
  protocols: readonly Protocol[],
): Chains {
  const chain = stepChain(step);
  const all = `${chain}-w`;
  const first = [...new Set(walks.map(({ ports }) => ports[0] ?? 0))].sort((a, b) => a - b);
  const lists = Array.from({ length: Math.ceil(first.length / MULTIPORT) }, (_, index) =>
    first.slice(index * MULTIPORT, (index + 1) * MULTIPORT).join(","),
  );
  const entries = walks.flatMap((walk, index) =>
    sources(walk.networks, family).map((from) => `${from}-j ${chain}-${index}`),
  );
  return new Map([
    [
      chain,
      [
        `${recent(stepList(step), "--remove")} -g ${all}`,
        ...protocols.flatMap((protocol) =>
          lists.map((ports) => `-p ${protocol} -m multiport --dports ${ports} -g ${all}`),
        ),
      ],
    ],
    [all, entries],
    ...walks.map((walk, index): [string, string[]] => [
      `${chain}-${index}`,
      walkRules(walk, step, family, protocols),
    ]),
  ]);
}

/** The rule that leads knocks to a step's chain while the step is valid: the kernel's clock ends it, whatever becomes of us. */
export function stepJump({ step, from, until }: StepWalks): string {
  const date = (millis: number): string => new Date(millis).toISOString().slice(0, 19);
  // The kernel compares whole seconds and counts the last one in.
  return `-m time --datestart ${date(from)} --datestop ${date(until - 1000)} -j ${stepChain(step)}`;
}

/** Rules for the chain that every knock goes through. */
export function walkJumps(steps: readonly StepWalks[]): Chains {
  return new Map([[WALK_CHAIN, steps.map(stepJump)]]);
}

function walkRules(walk: Walk, step: TimeStep, family: 4 | 6, protocols: readonly Protocol[]): string[] {
  const { id, ports, doors } = walk;
  const last = ports.length - 1;
  const onPort = (stage: number, rest: string): string[] =>
    protocols.map((protocol) => `-p ${protocol} --dport ${ports[stage - 1]} ${rest}`);
  const list = (what: number | "used" | "won", act: string): string => recent(walkList(id, what), act);
  const from = (stage: number): string =>
    `${list(stage, `--rcheck --seconds ${STAGE_SECONDS}`)} ${list(stage, "--remove")}`;
  const onWalk = recent(stepList(step), "--set");
  const everybody = `--mask ${family === 4 ? "0.0.0.0" : "::"}`;
  const once = `${list("used", `${everybody} --set`)} ${list("used", `${everybody} ! --rcheck --hitcount 2`)}`;
  const opened = [walkList(id, "won"), WON_LIST, ...doors.map(doorOf)].map((name) => recent(name, "--set"));
  const stages = Array.from({ length: last }, (_, index) => index + 1);
  return [
    ...walk.deny
      .filter((network) => network.address.family === family)
      .map((network) => `-s ${network.toString()} -j RETURN`),
    ...onPort(last + 1, `${from(last)} ${once} ${opened.join(" ")} -j RETURN`),
    ...stages
      .slice(1)
      .toReversed()
      .flatMap((stage) => onPort(stage, `${from(stage - 1)} ${list(stage, "--set")} ${onWalk} -j RETURN`)),
    ...stages.slice(1).flatMap((stage) => onPort(stage, `${list(stage, "--rcheck")} ${onWalk} -j RETURN`)),
    ...stages.map((stage) => list(stage, "--remove")),
    ...onPort(1, `${list(1, "--set")} ${onWalk}`),
  ];
}

function recent(name: string, act: string): string {
  return `-m recent --name ${name} ${act}`;
}

/** A match for each network of the family, with a space after it; nothing to match where anywhere is allowed. */
function sources(networks: readonly Network[], family: 4 | 6): string[] {
  if (networks.length === 0) return [""];
  return networks
    .filter((network) => network.address.family === family)
    .map((network) => `-s ${network.toString()} `);
}
