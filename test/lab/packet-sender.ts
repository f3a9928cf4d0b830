import { readFileSync } from "node:fs";
import { bind, errnoName, send, socket } from "../../server/sys/libc.ts";

// packet(7); socket(2) for the constants.
const AF_PACKET = 17;
const SOCK_RAW = 3;

/** Puts whole Ethernet frames on an interface, with whatever addresses they carry. */
export class PacketSender {
  readonly #descriptor: number;

  /** Throws when the interface does not exist or the privilege (CAP_NET_RAW) is missing. */
  constructor(device: string) {
    const index = Number(readFileSync(`/sys/class/net/${device}/ifindex`, "utf8"));
    this.#descriptor = check("socket", socket(AF_PACKET, SOCK_RAW, 0));
    const address = Buffer.alloc(20); // struct sockaddr_ll
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeInt32LE(index, 4);
    check("bind", bind(this.#descriptor, address));
  }

  send(frame: Uint8Array): void {
    check("send", send(this.#descriptor, frame));
  }
}

function check(call: string, result: number): number {
  if (result < 0) throw new Error(`packet socket: ${call}: ${errnoName(result)}`);
  return result;
}
