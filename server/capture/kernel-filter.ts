import { TAG_BYTES } from "../../shared/constants.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { CapturePlan } from "../core/frame.ts";
import type { TagFilter } from "../core/packet-source.ts";
import { addressOf, close, setsockopt } from "../sys/libc.ts";
import { assembleClassic, type Line } from "./bpf.ts";
import { KeySet, loadFilter } from "./bpf-objects.ts";
import { assembleExtended } from "./ebpf.ts";
import { captureFilter } from "./filter.ts";
import { captureError } from "./ring.ts";

/** asm-generic/socket.h, errno.h */
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_ATTACH_BPF = 50;
const E2BIG = 7;

const LEAST_CAPACITY = 1024;

/**
 * The filter on the packet sockets. With CAP_BPF and Linux 5.6 it is an extended program that knows the tags;
 * otherwise, or when the kernel runs out of memory for them later, a classic one that knows sizes and ports. Then more
 * junk reaches the process, and that is all: no packet that is ours is missed, and nothing more is let in.
 */
export class KernelFilter implements TagFilter {
  readonly #lines: readonly Line[];
  readonly #sockets: readonly number[];
  #keys: KeySet | undefined;

  private constructor(plan: CapturePlan, sockets: readonly number[]) {
    this.#lines = captureFilter(plan);
    this.#sockets = sockets;
  }

  /** Puts the filter on sockets. With `useTags` false it is the classic one. */
  static install(plan: CapturePlan, sockets: readonly number[], useTags: boolean): Result<KernelFilter> {
    const filter = new KernelFilter(plan, sockets);
    if (useTags && filter.#useTags(new Uint8Array(0))) return ok(filter);
    const result = filter.#useClassic();
    return result < 0 ? err(captureError("cannot attach the filter", result)) : ok(filter);
  }

  get kind(): "ebpf" | "cbpf" {
    return this.#keys === undefined ? "cbpf" : "ebpf";
  }

  replace(tags: Uint8Array): void {
    checkTags(tags);
    if (this.#keys !== undefined && !this.#useTags(tags)) this.#useClassic();
  }

  add(tags: Uint8Array): void {
    checkTags(tags);
    const result = this.#keys?.add(tags) ?? 0;
    if (result === -E2BIG) this.#grow(tags);
    else if (result < 0) this.#useClassic();
  }

  remove(tags: Uint8Array): void {
    checkTags(tags);
    const result = this.#keys?.remove(tags) ?? 0;
    if (result < 0) this.#useClassic();
  }

  close(): void {
    this.#keys?.close();
    this.#keys = undefined;
  }

  #grow(tags: Uint8Array): void {
    const known = this.#keys?.keys();
    if (known === undefined || typeof known === "number" || !this.#useTags(Buffer.concat([known, tags]))) {
      this.#useClassic();
    }
  }

  /** A new set with room for as many tags again, and a program that looks into it. The sockets never go without. */
  #useTags(tags: Uint8Array): boolean {
    const keys = KeySet.create(Math.max(LEAST_CAPACITY, (2 * tags.length) / TAG_BYTES));
    if (typeof keys === "number") return false;
    if (keys.add(tags) < 0 || !this.#attach(loadFilter(assembleExtended(this.#lines, keys.fd)))) {
      keys.close();
      return false;
    }
    this.#keys?.close();
    this.#keys = keys;
    return true;
  }

  #attach(program: number): boolean {
    if (program < 0) return false;
    const attached = this.#sockets.every((fd) => setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, program) === 0);
    // The sockets hold the program, and the program holds the set.
    close(program);
    return attached;
  }

  #useClassic(): number {
    this.close();
    const code = assembleClassic(this.#lines);
    const program = Buffer.allocUnsafeSlow(16).fill(0); // struct sock_fprog
    new Uint16Array(program.buffer, 0, 1)[0] = code.length / 8;
    new BigUint64Array(program.buffer, 8, 1)[0] = addressOf(code);
    for (const fd of this.#sockets) {
      const result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program);
      if (result < 0) return result;
    }
    return 0;
  }
}

function checkTags(tags: Uint8Array): void {
  if (tags.length % TAG_BYTES !== 0) {
    throw new RangeError(`tags: expected a multiple of ${TAG_BYTES} bytes, got ${tags.length}`);
  }
}
