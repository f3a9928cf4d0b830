import { endianness } from "node:os";
import { Address } from "../../shared/address.ts";
import type { TimeStep } from "../../shared/brand.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { KnockRules, StepWalks, Win } from "../core/knock-rules.ts";
import { nftJumps, nftName, nftRemoval, nftStep, stepOfNft } from "../rules/nft.ts";
import {
  attribute,
  attributesOf,
  NLM_F_DUMP,
  netfilterAttributes,
  text,
  valueOf,
} from "../sys/netlink-message.ts";
import { refusal } from "./errors.ts";
import type { NftablesFirewall } from "./nftables.ts";
import { INET, nft } from "./nft-message.ts";
import { TABLE } from "./nft-rules.ts";

const ENOENT = 2;
/** linux/netfilter/nf_tables.h: nft_set_elem_list_attributes, nft_set_elem_attributes. */
const LIST = { table: 1, set: 2, elements: 3 };
const KEY = 1;

/** Walks of knocks as chains, maps and sets of the guard's own table. The kernel tells nobody of elements that rules add. */
export class NftKnocks implements KnockRules {
  readonly pollMillis = 200;
  readonly mostDevices = 1000;
  readonly room = undefined;
  readonly #firewall: NftablesFirewall;
  #steps: readonly TimeStep[] | undefined;

  constructor(firewall: NftablesFirewall) {
    this.#firewall = firewall;
  }

  held(): Result<readonly TimeStep[] | undefined> {
    const walks = this.#firewall.walks();
    if (!walks.ok || walks.value === undefined) return walks as Result<undefined>;
    const steps = [...walks.value.chains, ...walks.value.sets].flatMap((name) => stepOfNft(name) ?? []);
    this.#steps = [...new Set(steps)];
    return ok(this.#steps);
  }

  replace(put: readonly StepWalks[], keep: readonly StepWalks[]): Result<void> {
    const walks = this.#firewall.walks();
    if (!walks.ok || walks.value === undefined) return walks as Result<undefined>;
    const stays = new Set([...put, ...keep].map(({ step }) => step));
    const isGone = (name: string): boolean => {
      const step = stepOfNft(name);
      return step !== undefined && !stays.has(step);
    };
    const { chains, sets } = walks.value;
    const all = [...keep, ...put].toSorted((a, b) => a.step - b.step);
    const lines = [
      ...put.flatMap((step) => nftStep(step)),
      ...nftJumps(all),
      ...nftRemoval(chains.filter(isGone), sets.filter(isGone)),
    ];
    const done = this.#firewall.changeWalks(`${lines.join("\n")}\n`);
    if (done.ok) this.#steps = [...stays];
    return done;
  }

  wins(): Result<readonly Win[]> {
    if (this.#steps === undefined) {
      const held = this.held();
      if (!held.ok) return held;
    }
    const wins: Win[] = [];
    for (const step of this.#steps ?? []) {
      for (const family of [4, 6] as const) {
        const found = this.#dump(nftName(step, `won${family}`), family);
        if (!found.ok) return found;
        wins.push(...found.value);
      }
    }
    return ok(wins);
  }

  /** Its mark is in `used` since it was completed, for both families. */
  burn(): Result<void> {
    return ok(undefined);
  }

  #dump(set: string, family: 4 | 6): Result<Win[]> {
    const names = [attribute(LIST.table, text(TABLE)), attribute(LIST.set, text(set))];
    const parts = this.#firewall.socket.dump(nft("getElement", INET, NLM_F_DUMP, ...names));
    if (!parts.ok) {
      return parts.error.code === ENOENT ? ok([]) : err(refusal(`nft list set ${set}`, parts.error));
    }
    return ok(
      parts.value.flatMap((part) => winsIn(valueOf(netfilterAttributes(part), LIST.elements), family)),
    );
  }
}

/** Keys are an address and, in the machine's byte order, a mark. */
function winsIn(elements: Uint8Array | undefined, family: 4 | 6): Win[] {
  const length = family === 4 ? 4 : 16;
  return attributesOf(elements).flatMap(([, element]) => {
    const key = valueOf(attributesOf(valueOf(attributesOf(element), KEY)), 1);
    if (key === undefined || key.length < length + 4) return [];
    const address = key.subarray(0, length);
    const mark = new DataView(key.buffer, key.byteOffset + length, 4).getUint32(0, endianness() === "LE");
    const source = family === 4 ? Address.v4(address) : new Address(address);
    return [{ id: mark.toString(16).padStart(8, "0"), source }];
  });
}
