import type { Address } from "../../shared/address.ts";
import type { ServiceName } from "../../shared/brand.ts";
import type { ReplyResult } from "../../shared/reply.ts";
import type { Grant } from "./grant.ts";

/**
 * The rule that a refusal follows from, as logs name it.
 *
 * - `unknown-user`, `unknown-service`: the configuration does not have it
 * - `user-disabled`, `device-disabled`, `user-expired`, `device-expired`: what it says
 * - `secret-expired`: the secret is older than `expire_after`
 * - `enrolment`: the secret came from a link and may only rotate
 * - `static`: the device's secret never rotates
 * - `user-service`, `device-service`: the service is not the user's, or not this device's
 * - `denied-network`, `other-network`: the address is in a denied network, or in none of the allowed ones
 * - `address-claimed`, `address-not-claimed`, `address-differs`: the packet claims an address where it may not, claims
 *   none where it must, or claims one that it does not come from
 * - `address-unusable`: the address claimed is no single machine's
 * - `may-not-knock`: the user may not knock
 * - `outside-hours`: the user may open at other times
 * - `any-port`: the packet names no source port, and the user must
 * - `second-factor-missing`, `second-factor-wrong`, `second-factor-exhausted`: no code, a wrong or used one, or too many
 *   wrong ones from this device
 */
export type Rule =
  | "unknown-user"
  | "unknown-service"
  | "user-disabled"
  | "device-disabled"
  | "user-expired"
  | "device-expired"
  | "secret-expired"
  | "enrolment"
  | "static"
  | "user-service"
  | "device-service"
  | "denied-network"
  | "other-network"
  | "address-claimed"
  | "address-not-claimed"
  | "address-differs"
  | "address-unusable"
  | "may-not-knock"
  | "outside-hours"
  | "any-port"
  | "second-factor-missing"
  | "second-factor-wrong"
  | "second-factor-exhausted";

export interface Refusal {
  readonly kind: "refuse";
  readonly rule: Rule;
  /** What an authentic packet that asks for a reply is told. */
  readonly result: Extract<ReplyResult, "refused" | "second-factor" | "expired" | "rotate-first">;
}

/** What is to be done for an authentic, fresh request. */
export type Decision =
  | {
      readonly kind: "grant";
      readonly grant: Grant;
      /** The packet asked for a longer life than it gets. */
      readonly capped: boolean;
      readonly rotationDue: boolean;
    }
  | {
      readonly kind: "close";
      readonly service: ServiceName;
      readonly source: Address;
      readonly rotationDue: boolean;
    }
  /** Agree on a new secret with this ephemeral X25519 public key, and store it as `next`. */
  | { readonly kind: "rotate"; readonly ephemeral: Uint8Array }
  | { readonly kind: "pong"; readonly rotationDue: boolean }
  | Refusal
  /** A retired secret was used: tell the owner, and nobody else. */
  | { readonly kind: "alarm" };
