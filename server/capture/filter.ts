import { PACKET_BYTES } from "../../shared/constants.ts";
import { STUN_MAX_BYTES, STUN_MIN_BYTES } from "../../shared/stun.ts";
import {
  type CapturePlan,
  STUN_BINDING_REQUEST,
  STUN_COOKIE,
  TCP,
  TCP_FLAGS,
  TCP_OPENING_MASK,
  UDP,
} from "../core/frame.ts";
import type { Line } from "./bpf.ts";

/** linux/if_packet.h: addressed to this host; neither broadcast nor somebody else's. */
const PACKET_HOST = 0;
const UDP_HEADER = 8;

/**
 * The kernel's part of the capture: the rules of core/frame.ts as far as they cost little, so that nothing else ever
 * wakes the process. It keeps every packet that parseFrame takes; parseFrame then refuses the few that are malformed.
 */
export function captureFilter({ spa, knock }: CapturePlan): Line[] {
  const tcp = knock !== undefined && knock.transport !== "udp";
  const udp = knock !== undefined && knock.transport !== "tcp";
  const knockPorts: Line[] =
    knock === undefined
      ? []
      : [
          ["if", ">", knock.last, "drop"],
          ["unless", ">=", knock.first, "drop"],
        ];
  return [
    ["load packet type"],
    ["unless", "==", PACKET_HOST, "drop"],
    ["load", 1, 0],
    ["and", 0xf0],
    ["if", "==", 0x40, "ipv4"],
    ["unless", "==", 0x60, "drop"],
    ["x =", 40],
    ["load", 1, 6],
    ["if", "==", UDP, "udp"],
    ["if", "==", TCP, "tcp"],
    drop,

    ["label", "ipv4"],
    ["load", 2, 6],
    ["if", "&", 0x3fff, "drop"], // more fragments, or an offset
    ["x = header length"],
    ["load", 1, 9],
    ["if", "==", UDP, "udp"],
    ["unless", "==", TCP, "drop"],

    ["label", "tcp"],
    ...(tcp ? tcpKnock(knockPorts) : [drop]),

    ["label", "udp"],
    ["load at x", 2, 2],
    ["if", "==", spa, "spa port"],
    ...(udp ? [...knockPorts, keep] : [drop]),

    ["label", "spa port"],
    ["load at x", 2, 4],
    ["if", "==", UDP_HEADER + PACKET_BYTES, "packet"],
    ["if", ">", UDP_HEADER + STUN_MAX_BYTES, "drop"],
    ["unless", ">=", UDP_HEADER + STUN_MIN_BYTES, "drop"],
    ["load at x", 4, UDP_HEADER + 4],
    ["unless", "==", STUN_COOKIE, "drop"],
    ["load at x", 2, UDP_HEADER],
    ["unless", "==", STUN_BINDING_REQUEST, "drop"],
    ["known stun tag", UDP_HEADER],
    keep,

    ["label", "packet"],
    ["known tag", UDP_HEADER],
    keep,

    ["label", "drop"],
    drop,
  ];
}

const keep: Line = ["keep"];
const drop: Line = ["drop"];

function tcpKnock(ports: readonly Line[]): Line[] {
  return [
    ["load at x", 2, 2],
    ...ports,
    ["load at x", 1, 13],
    ["and", TCP_OPENING_MASK],
    ["unless", "==", TCP_FLAGS.syn, "drop"],
    keep,
  ];
}
