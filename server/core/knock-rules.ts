import type { Address, Network } from "../../shared/address.ts";
import type { DeviceId, Port, Seconds, ServiceName, TimeStep, UnixMillis } from "../../shared/brand.ts";
import type { Result } from "../../shared/result.ts";
import type { Slot } from "./device.ts";

/** What a completed walk opens: one service, for so long. */
export interface Door {
  readonly service: ServiceName;
  readonly seconds: Seconds;
}

/** The stages that one secret's knock sequence of one step leads a source address through, for the kernel to follow. */
export interface Walk {
  /** The secret's tag of the step, 16 hexadecimal digits: the same that the replay journal knows the sequence by. */
  readonly id: string;
  readonly device: DeviceId;
  readonly slot: Slot;
  readonly ports: readonly Port[];
  /** At least one. */
  readonly doors: readonly Door[];
  /** Where knocks may come from; empty = anywhere. */
  readonly networks: readonly Network[];
  readonly deny: readonly Network[];
}

/** Every walk of one time step, and when the kernel itself lets it begin and ends it. */
export interface StepWalks {
  readonly step: TimeStep;
  readonly from: UnixMillis;
  /** The first millisecond in which it is not valid any more. */
  readonly until: UnixMillis;
  readonly walks: readonly Walk[];
}

/** A walk that somebody has completed. */
export interface Win {
  /** The walk's id, or its first 8 digits where the kernel keeps no more. */
  readonly id: string;
  readonly source: Address;
}

/** Knock sequences as rules of the packet filter: the kernel follows them and opens the doors, and nobody else sees a packet. */
export interface KnockRules {
  /** How often `wins` is to be asked: rules tell nobody when they match. */
  readonly pollMillis: number;
  /** How many devices these rules can follow at once, and still be quick about every packet. */
  readonly mostDevices: number;
  /** How many source addresses a door can hold at once; the one after that shuts it for the first. Undefined = enough. */
  readonly room: number | undefined;
  /** The steps that the kernel holds. Undefined = the guard, which leads packets to them, is not there. */
  held(): Result<readonly TimeStep[] | undefined>;
  /**
   * Puts steps in, leaves those of `keep` as they are, and takes out every other: one transaction for each family of
   * addresses. A step that is there already is replaced, and what was used of it stays used.
   */
  replace(put: readonly StepWalks[], keep: readonly StepWalks[]): Result<void>;
  /** Every win that the kernel remembers, old ones too. */
  wins(): Result<readonly Win[]>;
  /** Makes a walk useless for good, at once and for both families. */
  burn(id: string): Result<void>;
}
