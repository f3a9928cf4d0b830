import { ascii } from "../../shared/bytes.ts";
import { close, sendto, socket } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;

/**
 * Tells the service manager how this service is, such as `READY=1` or `WATCHDOG=1` (sd_notify(3)). Does nothing where
 * nobody asked, or the socket that NOTIFY_SOCKET names cannot be reached.
 */
export function sdNotify(state: string, path = process.env["NOTIFY_SOCKET"]): void {
  if (path === undefined || !/^[/@]/.test(path)) return;
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sendto(fd, ascii(state), unixAddress(path));
  close(fd);
}

/** struct sockaddr_un; `@` at the beginning stands for the abstract namespace (unix(7)). */
function unixAddress(path: string): Uint8Array {
  const bytes = new Uint8Array(2 + path.length + 1);
  new Uint16Array(bytes.buffer, 0, 1)[0] = AF_UNIX;
  bytes.set(ascii(path), 2);
  if (path.startsWith("@")) {
    bytes[2] = 0;
    return bytes.subarray(0, -1);
  }
  return bytes;
}
