import { parseAddress } from "../../shared/address.ts";
import { type Port, type TimeStep, timeStep } from "../../shared/brand.ts";
import { base64 } from "../../shared/bytes.ts";
import type { ServerInfo } from "../../shared/enrolment.ts";
import { knockSequence } from "../../shared/knock-sequence.ts";
import { derive } from "./device-key.ts";
import { answer } from "./ice.ts";
import { random } from "./random.ts";

/** Less, and a browser sends two of them at once; more, and the sequence grows old. */
const GAP_MS = 150;

/** The ports of a step, in order; undefined where this device may not knock. */
export async function sequenceOf(
  key: CryptoKey,
  info: ServerInfo,
  step: TimeStep,
): Promise<readonly Port[] | undefined> {
  if (info.knock === undefined) return undefined;
  // The words of a block come from an asynchronous key: hand over all that the draw may need, which is mostly one.
  for (let blocks = 1; ; blocks++) {
    const words = await Promise.all(
      Array.from({ length: blocks }, (_, block) =>
        derive(key, info.serverId, "knock", timeStep(step), block),
      ),
    );
    const ports = draw(info.knock, words);
    if (ports !== undefined) return ports;
  }
}

function draw(shape: Parameters<typeof knockSequence>[0], words: readonly Uint8Array[]): Port[] | undefined {
  let short = false;
  const ports = knockSequence(shape, (block) => {
    const bytes = words[block];
    if (bytes !== undefined) return bytes;
    short = true;
    // Every port of the range in turn, to bring the draw to its end.
    return Uint8Array.from({ length: 512 }, (_, at) => (at % 2 === 0 ? 0 : at >> 1));
  });
  return short ? undefined : ports;
}

/**
 * Sends the sequence as TCP SYNs, one each, in order: a connection that is told of a passive TCP candidate (RFC 6544)
 * connects to it at once. Resolves to false where the server's address is only a name.
 */
export async function knock(ports: readonly Port[], info: ServerInfo): Promise<boolean> {
  const host = info.addresses.find((address) => parseAddress(address).ok);
  if (host === undefined) return false;
  const connection = new RTCPeerConnection({ iceServers: [] });
  try {
    connection.createDataChannel("tock");
    await connection.setLocalDescription();
    const mid = /^a=mid:(\S+)/m.exec(connection.localDescription?.sdp ?? "")?.[1] ?? "0";
    const errand = { host, port: 9, ufrag: base64(random(6)), password: base64(random(18)) };
    await connection.setRemoteDescription({ type: "answer", sdp: answer(mid, errand, false) });
    for (const [index, port] of ports.entries()) {
      if (index > 0) await new Promise((resolve) => setTimeout(resolve, GAP_MS));
      const candidate = `candidate:${index + 1} 1 tcp ${1_518_280_447 - index} ${host} ${port} typ host tcptype passive`;
      await connection.addIceCandidate({ candidate, sdpMid: mid, sdpMLineIndex: 0 });
    }
    await new Promise((resolve) => setTimeout(resolve, GAP_MS));
    return true;
  } finally {
    connection.close();
  }
}
