import { getSystemErrorName } from "node:util";
import koffi from "koffi";

// The process's own symbols: works with glibc and musl alike, whatever the file is called.
const lib = koffi.load(null);

type Call = (...args: unknown[]) => number;
/** Declares one of libc's functions. */
export const define = (prototype: string): Call => {
  const call = lib.func(prototype) as Call;
  return (...args) => {
    const result = call(...args);
    return result < 0 ? -koffi.errno() : result;
  };
};

// Every call here gives its result (0 or more), or the errno negated, as the kernel itself does.
// Buffers are passed by address without a copy; addresses and lengths are in bytes.

/** socket(2). Returns a descriptor or -errno. */
export const socket: (domain: number, type: number, protocol: number) => number = define(
  "int socket(int domain, int type, int protocol)",
);

const bindRaw = define("int bind(int fd, const void *address, uint32_t length)");
/** bind(2) to a whole sockaddr. Returns 0 or -errno. */
export function bind(fd: number, address: Uint8Array): number {
  return bindRaw(fd, address, address.length);
}

const sendRaw = define("intptr_t send(int fd, const void *data, size_t length, int flags)");
/** send(2). Returns the bytes sent or -errno. */
export function send(fd: number, data: Uint8Array, flags = 0): number {
  return sendRaw(fd, data, data.length, flags);
}

const recvRaw = define("intptr_t recv(int fd, void *data, size_t length, int flags)");
/** recv(2) into the whole of `data`. Returns the bytes received (with MSG_TRUNC the datagram's real length) or -errno. */
export function recv(fd: number, data: Uint8Array, flags = 0): number {
  return recvRaw(fd, data, data.length, flags);
}

const setRaw = define("int setsockopt(int fd, int level, int option, const void *value, uint32_t length)");
/** setsockopt(2). A number is an int in the machine's byte order. Returns 0 or -errno. */
export function setsockopt(fd: number, level: number, option: number, value: number | Uint8Array): number {
  const bytes = typeof value === "number" ? new Uint8Array(Int32Array.of(value).buffer) : value;
  return setRaw(fd, level, option, bytes, bytes.length);
}

const getRaw = define("int getsockopt(int fd, int level, int option, void *value, uint32_t *length)");
/** getsockopt(2) into `value`. Returns the bytes written or -errno. */
export function getsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
  const length = Uint32Array.of(value.length);
  const result = getRaw(fd, level, option, value, length);
  return result < 0 ? result : (length[0] ?? 0);
}

/** close(2). Returns 0 or -errno; the descriptor is gone either way. */
export const close: (fd: number) => number = define("int close(int fd)");

/** The name of an errno, given as the calls here return it (`-1` is EPERM) or positive. Unknown ones as `errno 524`. */
export function errnoName(code: number): string {
  if (code === 0) return "no error";
  const name = getSystemErrorName(-Math.abs(code));
  return name.startsWith("E") ? name : `errno ${Math.abs(code)}`;
}

/** A descriptor watched by the event loop. The holder must keep it: it dies with its last reference. */
export interface Poll {
  /** Watches again after `stop`. Nothing happens after `close`. */
  start(): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

const READABLE = { readable: true };
const nothing = (): void => undefined;

/**
 * Calls `readable` from the event loop whenever `fd` can be read or has an error to fetch. Level-triggered.
 *
 * koffi calls from outside of Node's own callbacks: promises would wait there for some later event, and an exception
 * would be lost. So an immediate follows, which the same turn of the loop runs: promises go on at its end, and it throws
 * what was thrown. The work itself is done at once, which saves a packet on an idle machine a tenth of a millisecond. An
 * error on the descriptor (a netlink overrun) makes libuv stop watching: the next read fetches it, and the watch goes on.
 */
export function pollReadable(fd: number, readable: () => void): Poll {
  let watching = true;
  let closed = false;
  // The declared type knows no status; koffi gives one first, negative for an error.
  const ready = (status: unknown): void => {
    let rethrow = nothing;
    setImmediate(() => rethrow());
    try {
      if (watching) readable();
    } catch (error) {
      rethrow = () => {
        throw error;
      };
    }
    if (Number(status) < 0) setImmediate(() => watching && handle.start(READABLE, ready));
  };
  const handle = koffi.node.poll(fd, READABLE, ready);
  return {
    start: () => {
      if (closed) return;
      watching = true;
      handle.start(READABLE, ready);
    },
    stop: () => {
      if (closed) return;
      watching = false;
      handle.stop();
    },
    close: () => {
      watching = false;
      closed = true;
      handle.close();
    },
    ref: () => handle.ref(),
    unref: () => handle.unref(),
  };
}

const sendtoRaw = define(
  "intptr_t sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)",
);
/** sendto(2) with a whole sockaddr. Returns the bytes sent or -errno. */
export function sendto(fd: number, data: Uint8Array, address: Uint8Array): number {
  return sendtoRaw(fd, data, data.length, 0, address, address.length);
}

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

// Addresses in user space have at most 48 bits on the machines that Node runs on: a number holds them.
const mmapRaw = define(
  "intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, intptr_t offset)",
);
const munmapRaw = define("int munmap(uintptr_t address, size_t length)");

/** Memory that is shared with the kernel. Touching `memory` after `unmap` ends the process. */
export interface Mapping {
  readonly memory: ArrayBuffer;
  unmap(): void;
}

/** mmap(2) of the first `length` bytes of a descriptor, shared, for reading and writing. Or -errno. */
export function mmap(fd: number, length: number): Mapping | number {
  const address = mmapRaw(0, length, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (address < 0) return address;
  return { memory: koffi.view(BigInt(address), length), unmap: () => void munmapRaw(address, length) };
}

/** Where the bytes lie, for structs that hold pointers. Only good while the caller keeps a reference to `bytes`. */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes);
}

/** asm/unistd.h. Elsewhere bpf(2) counts as missing. */
const BPF_SYSCALL: Partial<Record<string, number>> = { x64: 321, arm64: 280 };
const ENOSYS = 38;
const syscall = define("intptr_t syscall(intptr_t number, intptr_t a, const void *b, uintptr_t c)");

/** bpf(2) with one of linux/bpf.h's commands and its part of union bpf_attr. Returns what the command gives or -errno. */
export function bpf(command: number, attributes: Uint8Array): number {
  const number = BPF_SYSCALL[process.arch];
  return number === undefined ? -ENOSYS : syscall(number, command, attributes, attributes.length);
}

const flockRaw = define("int flock(int fd, int operation)");
/** flock(2), exclusive and without waiting: ends with the process, however it ends. Returns 0 or -errno. */
export function flock(fd: number): number {
  return flockRaw(fd, 2 | 4);
}
