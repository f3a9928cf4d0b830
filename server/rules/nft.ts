import type { Network } from "../../shared/address.ts";
import type { TimeStep } from "../../shared/brand.ts";
import type { StepWalks, Walk } from "../core/knock-rules.ts";
import { nameOf } from "../firewall/grant-set.ts";
import { automaton } from "./automaton.ts";
import { STAGE_SECONDS } from "./recent.ts";

/** Every chain, map and set of the walks begins with this. */
export const NFT_WALK = "knock";
const T = "inet tock";

/** Maps and sets of one step: how far each source is, what follows what, which ends were reached, and by whom. */
const OBJECTS = {
  walk4: `map % { type ipv4_addr : mark; flags dynamic, timeout; timeout ${STAGE_SECONDS}s; size 65535; }`,
  walk6: `map % { type ipv6_addr : mark; flags dynamic, timeout; timeout ${STAGE_SECONDS}s; size 65535; }`,
  next: "map % { type mark . inet_service : mark; }",
  used: "set % { type mark; flags dynamic; size 65535; }",
  won4: "set % { type ipv4_addr . mark; flags dynamic; size 65535; }",
  won6: "set % { type ipv6_addr . mark; flags dynamic; size 65535; }",
} as const;

export function nftName(step: TimeStep, part?: string): string {
  return part === undefined ? `${NFT_WALK}-${step}` : `${NFT_WALK}-${step}-${part}`;
}

/** The step that a chain, map or set belongs to, or undefined. */
export function stepOfNft(name: string): TimeStep | undefined {
  const [, step] = /^knock-(\d+)(?:-[a-z0-9]+)?$/.exec(name) ?? [];
  return step === undefined ? undefined : (Number(step) as TimeStep);
}

/** The mark that a completed walk leaves, 32 bits: the first half of its id. Two that are the same burn together. */
export function endOf(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16) || 1;
}

/**
 * The walks of one step as nftables lines.
 *
 * How far a source has come is one number in a map. It is taken out when a packet of the source comes, and put back as the
 * number that the packet leads to, if it leads anywhere. The end of a walk is let through once, by a limit of one packet
 * a week on its entry in `used`, which both families share.
 */
export function nftStep(walks: StepWalks): string[] {
  const name = (part?: string): string => nftName(walks.step, part);
  const terms = groupByTerms(walks.walks);
  const chains = [name(), name("move"), ...terms.map((_, index) => name(`u${index}`))];
  const transitions = automaton(walks.walks.map(({ id, ports }) => ({ ports, end: endOf(id) })));
  const elements = transitions.map(({ state, port, next }) => `${state} . ${port} : ${next}`);
  const ends = terms.flatMap((group, index) =>
    [...new Set(group.map(({ id }) => endOf(id)))].map((end) => `${end} : goto ${name(`u${index}`)}`),
  );
  const rule = (chain: string, text: string): string => `add rule ${T} ${chain} ${text}`;
  const forget = (family: "ip" | "ip6", map: string): string[] => [
    rule(name(), `meta mark set ${family} saddr map @${name(map)}`),
    rule(name(), `delete @${name(map)} { ${family} saddr : meta mark }`),
  ];
  const move = `meta mark set meta mark . th dport map @${name("next")} goto ${name("move")}`;
  return [
    ...Object.entries(OBJECTS).map(([part, declaration]) => `add ${declare(declaration, name(part))}`),
    ...chains.map((chain) => `add chain ${T} ${chain}`),
    ...chains.map((chain) => `flush chain ${T} ${chain}`),
    `flush map ${T} ${name("next")}`,
    ...(elements.length > 0 ? [`add element ${T} ${name("next")} { ${elements.join(", ")} }`] : []),
    rule(name(), "meta mark set 0"),
    ...forget("ip", "walk4"),
    ...forget("ip6", "walk6"),
    rule(name(), move),
    rule(name(), "meta mark set 0"),
    rule(name(), move),
    ...(ends.length > 0 ? [rule(name("move"), `meta mark vmap { ${ends.join(", ")} }`)] : []),
    rule(name("move"), `add @${name("walk4")} { ip saddr : meta mark }`),
    rule(name("move"), `add @${name("walk6")} { ip6 saddr : meta mark }`),
    ...terms.flatMap((group, index) =>
      [...new Set(group.flatMap((walk) => termRules(walk, name)))].map((text) =>
        rule(name(`u${index}`), text),
      ),
    ),
  ];
}

/** Lines that lead every knock through the given steps, each in its time, and no other. */
export function nftJumps(steps: readonly StepWalks[]): string[] {
  const seconds = (millis: number): number => Math.floor(millis / 1000);
  return [
    `add chain ${T} ${NFT_WALK}`,
    `flush chain ${T} ${NFT_WALK}`,
    ...steps.map(
      ({ step, from, until }) =>
        `add rule ${T} ${NFT_WALK} meta time >= ${seconds(from)} meta time < ${seconds(until)} jump ${nftName(step)}`,
    ),
  ];
}

/** Lines that take steps out, given the names of what there is of them. Everything that jumps to them must be gone. */
export function nftRemoval(chains: readonly string[], sets: readonly string[]): string[] {
  return [
    ...chains.map((chain) => `flush chain ${T} ${chain}`),
    ...chains.map((chain) => `delete chain ${T} ${chain}`),
    ...sets.map((set) => `delete ${/-(walk4|walk6|next)$/.test(set) ? "map" : "set"} ${T} ${set}`),
  ];
}

/** Walks that open the same for the same networks share a chain. */
export function groupByTerms(walks: readonly Walk[]): Walk[][] {
  const groups = new Map<string, Walk[]>();
  for (const walk of walks) {
    const { doors, networks, deny } = walk;
    const key = JSON.stringify([doors, networks, deny]);
    groups.set(key, [...(groups.get(key) ?? []), walk]);
  }
  return [...groups.values()];
}

function termRules({ doors, networks, deny }: Walk, name: (part: string) => string): string[] {
  const family = (six: boolean): string[] => {
    const address = six ? "ip6 saddr" : "ip saddr";
    const list = (all: readonly Network[]): string =>
      outermost(all.filter((network) => (network.address.family === 6) === six)).join(", ");
    const [allowed, denied] = [list(networks), list(deny)];
    if (networks.length > 0 && allowed === "") return [];
    const opened = doors.map(({ service, seconds }) => {
      const set = nameOf({ service, family: six ? 6 : 4, port: false, prefix: undefined, counted: false });
      return `update @${set} { ${address} timeout ${seconds}s }`;
    });
    return [
      [
        ...(denied === "" ? [] : [`${address} != { ${denied} }`]),
        ...(allowed === "" ? [`meta nfproto ${six ? "ipv6" : "ipv4"}`] : [`${address} { ${allowed} }`]),
        `add @${name("used")} { meta mark limit rate 1/week burst 1 packets }`,
        `add @${name(six ? "won6" : "won4")} { ${address} . meta mark }`,
        ...opened,
      ].join(" "),
    ];
  };
  return [...family(false), ...family(true)];
}

/** Without networks that lie within others: nft takes no overlaps. */
function outermost(networks: readonly Network[]): Network[] {
  return networks.filter(
    (network, index) =>
      !networks.some(
        (other, place) =>
          place !== index &&
          other.contains(network.address) &&
          (other.prefix < network.prefix || (other.prefix === network.prefix && place < index)),
      ),
  );
}

function declare(declaration: string, name: string): string {
  return declaration.replace(" %", ` ${T} ${name}`);
}
