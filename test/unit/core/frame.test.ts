import { describe, expect, test } from "vitest";
import {
  type CapturePlan,
  destinationOf,
  Frame,
  type FrameFault,
  type FrameKind,
  parseFrame,
  payloadOf,
  sourceOf,
} from "../../../server/core/frame.ts";
import { fragments, type Side, tcpFrame, udpFrame } from "../../lab/frame.ts";

const PLAN: CapturePlan = { spa: 62201, knock: { first: 10000, last: 32767, transport: "both" } };
const mac = "02:00:00:00:00:01";
const ETHERNET = 14;
const families = [4, 6] as const;

function client(family: 4 | 6): Side {
  return { mac, address: family === 4 ? "192.0.2.7" : "2001:db8::7", port: 40000 };
}

function server(family: 4 | 6, port = 62201): Side {
  return { mac, address: family === 4 ? "192.0.2.1" : "2001:db8::1", port };
}

function udp(family: 4 | 6, payload: Uint8Array, port?: number): Buffer {
  return udpFrame(client(family), server(family, port), payload).subarray(ETHERNET);
}

function syn(family: 4 | 6, port: number, flags = 2): Buffer {
  return tcpFrame(client(family), server(family, port), flags).subarray(ETHERNET);
}

function stun(length: number): Buffer {
  const message = Buffer.alloc(length);
  message.writeUInt16BE(1, 0);
  message.writeUInt16BE(length - 20, 2);
  message.writeUInt32BE(0x2112a442, 4);
  return message;
}

/** The fault, or the kind of a frame that is taken. The packet lies between bytes that are not its own. */
function parsed(packet: Uint8Array, plan = PLAN, frame = new Frame()): FrameFault | FrameKind {
  const memory = new Uint8Array(packet.length + 200).fill(0xee);
  memory.set(packet, 100);
  frame.attach(memory);
  return parseFrame(frame, 100, packet.length, plan) ?? frame.kind;
}

function edited(packet: Buffer, edit: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(packet);
  edit(copy);
  return copy;
}

describe.each(families)("IPv%s", (family) => {
  const header = family === 4 ? 20 : 40;
  const spa = udp(family, Buffer.alloc(144, 5));

  test("an SPA packet is described in full", () => {
    const frame = new Frame();
    expect(parsed(spa, PLAN, frame)).toBe("spa");
    expect(frame).toMatchObject({
      family,
      protocol: 17,
      sourcePort: 40000,
      destinationPort: 62201,
      tcpFlags: 0,
    });
    expect(sourceOf(frame).text).toBe(client(family).address);
    expect(destinationOf(frame).text).toBe(server(family).address);
    expect(payloadOf(frame)).toEqual(new Uint8Array(144).fill(5));
  });

  test("cut short anywhere it is refused", () => {
    for (let length = 0; length < spa.length; length++) {
      expect(parsed(spa.subarray(0, length)), `${length} bytes`).toBe("truncated");
    }
  });

  test("a SYN needs its header alone", () => {
    const knock = syn(family, 10000);
    for (let length = 0; length < header + 20; length++) {
      expect(parsed(knock.subarray(0, length)), `${length} bytes`).toBe("truncated");
    }
    const withData = edited(Buffer.concat([knock, Buffer.alloc(50)]), (copy) => {
      copy.writeUInt16BE(family === 4 ? copy.length : copy.length - 40, family === 4 ? 2 : 4);
    });
    const frame = new Frame();
    expect(parsed(withData.subarray(0, header + 30), PLAN, frame)).toBe("knock");
    expect(payloadOf(frame)).toHaveLength(10);
  });

  test("a SYN's options are part of its header", () => {
    const withOptions = edited(Buffer.concat([syn(family, 10000), Buffer.alloc(20, 1)]), (copy) => {
      copy.writeUInt16BE(family === 4 ? copy.length : copy.length - 40, family === 4 ? 2 : 4);
      copy.writeUInt8(10 << 4, header + 12);
    });
    expect(parsed(withOptions)).toBe("knock");
    for (let length = header + 20; length < withOptions.length; length++) {
      expect(parsed(withOptions.subarray(0, length)), `${length} bytes`).toBe("truncated");
    }
  });

  test("nothing of the last frame is left in the next", () => {
    const frame = new Frame();
    expect(parsed(syn(family, 10000), PLAN, frame)).toBe("knock");
    expect(frame.tcpFlags).toBe(2);
    expect(parsed(spa, PLAN, frame)).toBe("spa");
    const fresh = new Frame();
    parsed(spa, PLAN, fresh);
    expect(frame).toEqual(fresh);
  });

  test("padding after the packet is not part of it", () => {
    const frame = new Frame();
    expect(parsed(Buffer.concat([spa, Buffer.alloc(40, 9)]), PLAN, frame)).toBe("spa");
    expect(frame.payloadLength).toBe(144);
  });

  test("bytes between UDP's end and IP's end are not part of the datagram", () => {
    const longer = edited(udp(family, Buffer.alloc(160, 5)), (copy) => copy.writeUInt16BE(152, header + 4));
    expect(parsed(longer)).toBe("spa");
  });

  test("a UDP length beyond the IP packet is refused", () => {
    const memory = Buffer.concat([spa, Buffer.alloc(40)]);
    for (const length of [0, 7, 153, 192, 0xffff]) {
      expect(parsed(edited(memory, (copy) => copy.writeUInt16BE(length, header + 4))), `${length}`).toBe(
        "lengths",
      );
    }
  });

  test("sizes next to that of an SPA packet are not ours", () => {
    for (const length of [0, 1, 143, 145, 1400])
      expect(parsed(udp(family, Buffer.alloc(length)))).toBe("not-ours");
  });

  test("a STUN Binding Request of 28 to 600 bytes is taken, by its fixed fields", () => {
    for (const length of [28, 144 + 4, 600]) expect(parsed(udp(family, stun(length)))).toBe("stun");
    for (const length of [20, 24, 604]) expect(parsed(udp(family, stun(length)))).toBe("not-ours");
    for (const [at, bit, what] of [
      [0, 1, "class"],
      [1, 1, "method"],
      [3, 1, "longer"],
      [3, 4, "shorter"],
      [4, 1, "cookie"],
      [7, 1, "cookie"],
    ] as const) {
      const other = edited(stun(240), (copy) => copy.writeUInt8(copy.readUInt8(at) ^ bit, at));
      expect(parsed(udp(family, other)), what).toBe("not-ours");
    }
  });

  test("TCP to the SPA port is not ours", () => {
    expect(parsed(syn(family, 62201))).toBe("not-ours");
  });

  test("a knock is within the range, both ends included", () => {
    const kinds = [9999, 10000, 32767, 32768].map((port) => parsed(syn(family, port)));
    expect(kinds).toEqual(["not-ours", "knock", "knock", "not-ours"]);
    const datagrams = [9999, 10000, 32767, 32768].map((port) => parsed(udp(family, Buffer.alloc(3), port)));
    expect(datagrams).toEqual(["not-ours", "knock", "knock", "not-ours"]);
  });

  test("knocks come by the transport that is configured", () => {
    const taken = (["tcp", "udp", "both"] as const).map((transport) => {
      const plan = { ...PLAN, knock: { first: 10000, last: 32767, transport } };
      return [parsed(syn(family, 10000), plan), parsed(udp(family, Buffer.alloc(0), 10000), plan)];
    });
    expect(taken).toEqual([
      ["knock", "not-ours"],
      ["not-ours", "knock"],
      ["knock", "knock"],
    ]);
    expect(parsed(syn(family, 10000), { ...PLAN, knock: undefined })).toBe("not-ours");
  });

  test("of all TCP flags only those that open a connection make a knock", () => {
    for (let flags = 0; flags < 256; flags++) {
      const opens = (flags & 0x02) !== 0 && (flags & 0x15) === 0;
      expect(parsed(syn(family, 10000, flags)), `flags ${flags}`).toBe(opens ? "knock" : "not-ours");
    }
  });

  test("a TCP data offset outside of the segment is refused", () => {
    for (const words of [0, 4, 6, 15]) {
      const packet = edited(syn(family, 10000), (copy) => copy.writeUInt8(words << 4, header + 12));
      expect(parsed(packet), `${words} words`).toBe("lengths");
    }
  });

  test("other versions and protocols are refused", () => {
    for (const version of [0, 5, family === 4 ? 7 : 15]) {
      expect(parsed(edited(spa, (copy) => copy.writeUInt8(version << 4, 0)))).toBe("version");
    }
    for (const protocol of [0, 1, 43, 50, 51, 58, 60, 132, 136]) {
      const packet = edited(spa, (copy) => copy.writeUInt8(protocol, family === 4 ? 9 : 6));
      expect(parsed(packet), `protocol ${protocol}`).toBe("protocol");
    }
  });
});

test("IPv4 options are stepped over", () => {
  const plain = udp(4, Buffer.alloc(144, 5));
  for (const words of [6, 15]) {
    const options = Buffer.alloc((words - 5) * 4, 1);
    const packet = edited(Buffer.concat([plain.subarray(0, 20), options, plain.subarray(20)]), (copy) => {
      copy.writeUInt8(0x40 | words, 0);
      copy.writeUInt16BE(copy.length, 2);
    });
    const frame = new Frame();
    expect(parsed(packet, PLAN, frame)).toBe("spa");
    expect(payloadOf(frame)).toEqual(new Uint8Array(144).fill(5));
  }
});

test("IPv4 header and total lengths must fit together", () => {
  const packet = udp(4, Buffer.alloc(144));
  for (let words = 0; words < 5; words++) {
    const shorter = Buffer.concat([packet.subarray(0, words * 4), packet.subarray(20), Buffer.alloc(20)]);
    shorter.writeUInt8(0x40 | words, 0);
    shorter.writeUInt8(17, 9);
    shorter.writeUInt16BE(0, 6);
    expect(parsed(shorter), `${words} words`).toBe("lengths");
  }
  for (const total of [0, 19, 20, 27, 171]) {
    expect(parsed(edited(packet, (copy) => copy.writeUInt16BE(total, 2))), `total ${total}`).toBe("lengths");
  }
});

test("every fragment is refused, the first one too", () => {
  const parts = fragments(udpFrame(client(4), server(4), Buffer.alloc(144)), 80).map((part) =>
    part.subarray(14),
  );
  expect(parts.map((part) => parsed(part))).toEqual(["fragment", "fragment"]);
  const v6 = edited(udp(6, Buffer.alloc(144)), (copy) => copy.writeUInt8(44, 6));
  expect(parsed(v6)).toBe("fragment");
  const dontFragment = edited(udp(4, Buffer.alloc(144)), (copy) => copy.writeUInt16BE(0x4000, 6));
  expect(parsed(dontFragment)).toBe("spa");
});

test("an IPv6 source that names an IPv4 host is refused", () => {
  const packet = edited(udp(6, Buffer.alloc(144)), (copy) => {
    copy.set(Buffer.from("00000000000000000000ffffc0000207", "hex"), 8);
  });
  expect(parsed(packet)).toBe("mapped-source");
  const near = edited(packet, (copy) => copy.writeUInt8(1, 8));
  expect(parsed(near)).toBe("spa");
});
