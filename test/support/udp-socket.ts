import { bind, close, errnoName, recv, sendto, socket } from "../../server/sys/libc.ts";

const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK = 2 | 0x800 | 0x80000;

/** A UDP socket on loopback by bare system calls, for what Node's own sockets hide. */
export class UdpSocket {
  readonly fd: number;
  readonly #port: number;
  readonly #buffer = new Uint8Array(2048);

  constructor(port: number) {
    this.fd = socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0);
    this.#port = port;
    const result = bind(this.fd, loopback(port));
    if (result < 0) throw new Error(`udp socket: bind: ${errnoName(result)}`);
  }

  /** Sends text to a port on loopback; its own, where none is given. */
  send(text: string, port = this.#port): void {
    sendto(this.fd, Buffer.from(text), loopback(port));
  }

  /** Everything that waits: texts, and errors by name. */
  receiveAll(): string[] {
    const seen: string[] = [];
    for (;;) {
      const length = recv(this.fd, this.#buffer);
      if (errnoName(length) === "EAGAIN") return seen;
      seen.push(length < 0 ? errnoName(length) : Buffer.from(this.#buffer.subarray(0, length)).toString());
    }
  }

  close(): void {
    close(this.fd);
  }
}

/** struct sockaddr_in */
function loopback(port: number): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return address;
}
