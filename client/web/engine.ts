import type { Port } from "../../shared/brand.ts";

/** What the views know: servers, things to do with them, and what came of it. They hold no secret and send nothing. */

export interface ServiceView {
  readonly name: string;
  /** `tcp/22`, `udp/60000-61000` … */
  readonly ports: readonly string[];
  /** Unix ms; undefined = not known to be open. */
  readonly openUntil: number | undefined;
}

export interface ServerView {
  readonly id: string;
  readonly name: string;
  readonly device: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly services: readonly ServiceView[];
  /** Whether the server ever answers. */
  readonly replies: boolean;
  readonly secondFactor: boolean;
  readonly mayKnock: boolean;
  /** A passphrase is asked for at each use. */
  readonly locked: boolean;
  /** The enrolment has begun and nothing has confirmed it yet. */
  readonly enrolling: boolean;
  readonly isStatic: boolean;
  readonly login: string;
  readonly clockAhead: number;
}

/** What a person gives at a use. */
export interface Given {
  readonly otp?: number | undefined;
  readonly passphrase?: string | undefined;
}

export type Problem =
  | { readonly code: "offline" | "used-link" | "refused" | "second-factor" | "expired" | "firewall" }
  | {
      readonly code:
        | "wrong-passphrase"
        | "damaged"
        | "rotate-first"
        | "insecure"
        | "no-storage"
        | "no-webrtc";
    }
  | { readonly code: "no-answer"; readonly port: number }
  | { readonly code: "clock"; readonly ahead: number }
  | { readonly code: "untaken"; readonly names: boolean; readonly port: number }
  | { readonly code: "other"; readonly message: string };

export type Outcome =
  /** `until` in unix ms of this device; `seen` is the address that is let in, where that is known without asking. */
  | { readonly kind: "opened"; readonly until: number; readonly seen?: string | undefined }
  | { readonly kind: "closed" | "sent" | "knocked" | "done" }
  | { readonly kind: "failed"; readonly problem: Problem };

export interface Sequence {
  readonly ports: readonly Port[];
  /** Milliseconds until the next sequence. */
  readonly left: number;
}

export interface CheckView {
  /** Seconds by which the server's clock is ahead of this device's. */
  readonly ahead: number;
  readonly seen: readonly string[];
}

export interface Engine {
  list(): Promise<readonly ServerView[]>;
  open(id: string, service: string, given: Given): Promise<Outcome>;
  close(id: string, service: string, given: Given): Promise<Outcome>;
  /** Undefined where it cannot be had: no knocking, or a wrong passphrase. */
  sequence(id: string, given: Given): Promise<Sequence | undefined>;
  check(id: string, given: Given): Promise<CheckView | Problem>;
  /** What only a browser that keeps the secrets itself can do. */
  readonly own: OwnEngine | undefined;
}

export interface OwnEngine {
  /** What a link says, without its secret; undefined where it is no link. */
  readLink(link: string): Promise<LinkView | string>;
  enrol(link: string, passphrase: string | undefined): Promise<Outcome>;
  knock(id: string, given: Given): Promise<Outcome>;
  rename(id: string, name: string): Promise<void>;
  setLogin(id: string, login: string): Promise<void>;
  setClock(id: string, ahead: number): Promise<void>;
  setPassphrase(id: string, given: Given, passphrase: string | undefined): Promise<Outcome>;
  /** A file's text, sealed under the passphrase. */
  backUp(id: string, given: Given, passphrase: string): Promise<string | Problem>;
  restore(text: string, passphrase: string): Promise<Outcome>;
  remove(id: string): Promise<void>;
}

export interface LinkView {
  readonly server: string;
  readonly device: string;
  readonly addresses: readonly string[];
  readonly services: readonly string[];
}
