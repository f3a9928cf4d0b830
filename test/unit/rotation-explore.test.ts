import { expect, test } from "vitest";
import { begin, keyOf, nameOf, runClean, serve, type State, successors } from "../support/rotation-model.ts";

/**
 * Every order of the events of enrolment and rotation, up to a depth: a packet sent, lost, delayed past its sender's
 * patience, served with the answer lost, a client killed at any point, a daemon killed before and after it stored.
 */

/** Calls `check` on every state that up to `depth` events lead to; gives how many there are. */
function explore(first: State, depth: number, check: (state: State) => void): number {
  const seen = new Set([keyOf(first)]);
  let level = [first];
  check(first);
  for (let events = 0; events < depth; events++) {
    const further: State[] = [];
    for (const state of level) {
      for (const next of successors(state)) {
        const key = keyOf(next);
        if (seen.has(key)) continue;
        seen.add(key);
        check(next);
        further.push(next);
      }
    }
    level = further;
  }
  return seen.size;
}

/** Secrets that anybody ever held or can make. */
function allNames({ device, holders }: State): string[] {
  const held = holders.flatMap(({ disk }) => [disk.current, disk.next?.name ?? disk.current]);
  const stored = [device.current.secret, device.next?.secret, ...device.retired.map(({ secret }) => secret)];
  return [...new Set([...held, ...stored.flatMap((secret) => (secret ? [nameOf(secret)] : [])), "S"])];
}

const opening = (state: State): string[] =>
  allNames(state).filter((name) => serve(state.device, name, undefined).result === "opened");

function onlyCurrentAndNextOpen(state: State, link: boolean): string[] {
  const { current, next } = state.device;
  const names = opening(state);
  const allowed = [nameOf(current.secret), next && nameOf(next.secret)];
  for (const name of names) if (!allowed.includes(name)) throw new Error(`${name} opens: ${keyOf(state)}`);
  if (link && names.includes("S")) throw new Error(`the link opens: ${keyOf(state)}`);
  return names;
}

test.each([
  ["link", 14],
  ["secret", 12],
] as const)(
  "one holder of a %s, %i events: nobody else gets in, and it is never locked out",
  (what, depth) => {
    const ways = new Map<string, boolean>();
    const states = explore(begin(what, 1), depth, (state) => {
      onlyCurrentAndNextOpen(state, what === "link");
      const bare = keyOf({
        ...state,
        packets: [],
        holders: state.holders.map((holder) => ({ ...holder, op: undefined })),
      });
      let opened = ways.get(bare);
      if (opened === undefined) {
        opened = runClean(state, 0).opened;
        ways.set(bare, opened);
      }
      if (!opened) throw new Error(`locked out: ${keyOf(state)}`);
    });
    console.log(`${what}: ${states} states, ${ways.size} to come back from`);
    expect(states).toBeGreaterThan(500);
  },
);

/** The ephemeral key that a secret first came from, whose first letter is its maker. */
const makerOf = (name: string): string => /\+([ab])/.exec(name)?.[1] ?? "";

test("two holders of one link, 12 events: only one of them ever gets in, and the other raises the alarm", () => {
  const winners = new Set<string>();
  const states = explore(begin("link", 2), 12, (state) => {
    const makers = new Set(onlyCurrentAndNextOpen(state, true).map(makerOf));
    if (makers.size > 1) throw new Error(`both get in: ${keyOf(state)}`);
    for (const maker of makers) winners.add(maker);
    const [maker] = makers;
    if (maker === undefined) return;
    const other = runClean(state, maker === "a" ? 1 : 0);
    if (other.opened) throw new Error(`the second gets in: ${keyOf(state)}`);
    if (!other.state.alarmed) throw new Error(`nobody was told: ${keyOf(state)}`);
  });
  console.log(`two of one link: ${states} states`);
  expect([...winners].sort()).toEqual(["a", "b"]);
}, 120_000);

test("the owner and a thief of the secret in use, 12 events: once one has rotated the other raises the alarm", () => {
  const tried = new Set<string>();
  const states = explore(begin("secret", 2), 12, (state) => {
    onlyCurrentAndNextOpen(state, false);
    const holders = state.holders.map((holder) => ({ ...holder, op: undefined }));
    const bare = keyOf({ ...state, packets: [], holders });
    if (tried.has(bare)) return;
    tried.add(bare);
    for (const index of [0, 1]) {
      const { opened, state: after } = runClean(state, index);
      if (!opened && !after.alarmed)
        throw new Error(`holder ${index} is out and nobody was told: ${keyOf(state)}`);
    }
  });
  console.log(`two of one secret: ${states} states`);
  expect(states).toBeGreaterThan(500);
}, 120_000);
