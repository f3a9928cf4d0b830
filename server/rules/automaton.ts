import { createHash } from "node:crypto";

/** In `state` (0 = at the start), a knock on `port` leads to `next`. */
export interface Transition {
  readonly state: number;
  readonly port: number;
  readonly next: number;
}

interface Node {
  readonly path: readonly number[];
  readonly children: Map<number, Node>;
  id: number;
  /** The longest proper suffix of the path that another path begins with (Aho and Corasick, 1975). */
  suffix: Node | undefined;
}

/**
 * Follows any number of sequences at once by a single number for each source. A sequence is complete when its ports came in
 * order with no other between, but that the same port again changes nothing; `end` is then the state.
 *
 * Where a state has no transition for a port, that of state 0 applies; where that has none either, the next state is 0.
 * States are numbered by what they stand for, so that the same state has the same number when sequences come or go.
 */
export function automaton(
  sequences: readonly { readonly ports: readonly number[]; readonly end: number }[],
): Transition[] {
  const root: Node = { path: [], children: new Map(), id: 0, suffix: undefined };
  const taken = new Set([0, ...sequences.map(({ end }) => end)]);
  const nodes: Node[] = [];
  for (const { ports, end } of sequences) {
    let node = root;
    for (const [index, port] of ports.entries()) {
      const isEnd = index === ports.length - 1;
      const path = [...node.path, port];
      const known = node.children.get(port);
      const next = known ?? {
        path,
        children: new Map<number, Node>(),
        id: isEnd ? end : numberOf(path, taken),
        suffix: undefined,
      };
      if (known === undefined) nodes.push(next);
      node.children.set(port, next);
      node = next;
    }
  }
  link(root);
  const first = [...root.children].map(([port, { id }]) => ({ state: 0, port, next: id }));
  return [...first, ...nodes.flatMap(transitionsOf)];
}

function transitionsOf(node: Node): Transition[] {
  if (node.children.size === 0) return [];
  const next = new Map<number, number>();
  const again = node.path.at(-1);
  if (again !== undefined) next.set(again, node.id);
  for (let from: Node | undefined = node; from !== undefined && from.path.length > 0; from = from.suffix) {
    for (const [port, { id }] of from.children) if (!next.has(port)) next.set(port, id);
  }
  return [...next].map(([port, id]) => ({ state: node.id, port, next: id }));
}

function link(root: Node): void {
  const queue = [...root.children.values()];
  for (const node of queue) node.suffix = root;
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    for (const [port, child] of node.children) {
      let suffix = node.suffix;
      while (suffix !== undefined && !suffix.children.has(port)) suffix = suffix.suffix;
      child.suffix = suffix?.children.get(port) ?? root;
      queue.push(child);
    }
  }
}

/** 32 bits that nothing else has. */
function numberOf(path: readonly number[], taken: Set<number>): number {
  for (let salt = 0; ; salt++) {
    const id = createHash("sha256")
      .update(`${salt} ${path.join(" ")}`)
      .digest()
      .readUInt32BE(0);
    if (taken.has(id)) continue;
    taken.add(id);
    return id;
  }
}
