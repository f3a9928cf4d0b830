import { getSystemErrorName } from "node:util";
import koffi from "koffi";

// The process's own symbols: works with glibc and musl alike, whatever the file is called.
const lib = koffi.load(null);

type Call = (...args: unknown[]) => number;
const define = (prototype: string): Call => {
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
  const name = getSystemErrorName(-Math.abs(code));
  return name.startsWith("E") ? name : `errno ${Math.abs(code)}`;
}

/** A descriptor watched by the event loop. The holder must keep it: it dies with its last reference. */
export interface Poll {
  close(): void;
  ref(): void;
  unref(): void;
}

/** Calls `readable` from the event loop whenever `fd` can be read (or is in error). Level-triggered. */
export function pollReadable(fd: number, readable: () => void): Poll {
  return koffi.node.poll(fd, { readable: true }, readable);
}

const sendtoRaw = define(
  "intptr_t sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)",
);
/** sendto(2) with a whole sockaddr. Returns the bytes sent or -errno. */
export function sendto(fd: number, data: Uint8Array, address: Uint8Array): number {
  return sendtoRaw(fd, data, data.length, 0, address, address.length);
}
