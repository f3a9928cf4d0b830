import { parseAddress } from "../../shared/address.ts";

/**
 * One datagram to a server from a web page: WebRTC's first connectivity check carries a user name that the page chooses
 * (RFC 8445 §7.2.2), and that is the packet. The answer says "authentic" by making the connection `connected`, and says
 * what it has to say in the port of the mapped address.
 */
export interface Errand {
  /** An IP literal, or a host name (Chromium alone takes one). */
  readonly host: string;
  readonly port: number;
  /** 192 characters of base64. */
  readonly ufrag: string;
  /** 24 characters: the answer is authentic if it knows them. */
  readonly password: string;
}

/** Until then a browser has paired an address with its own. */
const TAKING_MS = 1_000;

export type Delivery =
  | { readonly kind: "answered"; readonly word: number; readonly ms: number }
  | { readonly kind: "silent" }
  /** The browser did not take the address or the port, and nothing left this device. */
  | { readonly kind: "untaken" };

/** Sends it and waits `patience` ms for an answer. `stop` gives up earlier. */
export async function run(errand: Errand, patience: number, stop?: AbortSignal): Promise<Delivery> {
  const connection = await connect(errand);
  const start = performance.now();
  try {
    // A browser that takes an address does so at once; a name it may have to look up first.
    const first = parseAddress(errand.host).ok ? Math.min(TAKING_MS, patience) : patience;
    const isConnected =
      (await connected(connection, first, stop)) ||
      ((await hasPair(connection)) && (await connected(connection, patience - first, stop)));
    if (!isConnected) return { kind: (await hasPair(connection)) ? "silent" : "untaken" };
    const ms = performance.now() - start;
    const word = await mappedPort(connection);
    return word === undefined ? { kind: "silent" } : { kind: "answered", word, ms };
  } finally {
    connection.close();
  }
}

/** A connection with a data channel and an answer made up here: ice-lite, one candidate. */
async function connect(errand: Errand): Promise<RTCPeerConnection> {
  const connection = new RTCPeerConnection({ iceServers: [] });
  try {
    connection.createDataChannel("tock");
    await connection.setLocalDescription();
    const mid = /^a=mid:(\S+)/m.exec(connection.localDescription?.sdp ?? "")?.[1] ?? "0";
    await connection.setRemoteDescription({ type: "answer", sdp: answer(mid, errand) });
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * `setup:active` leaves the DTLS hello to the other side, which never says it; so nothing but the check is sent. The
 * fingerprint is never used.
 */
export function answer(mid: string, { host, port, ufrag, password }: Errand, candidates = true): string {
  const candidate = `a=candidate:1 1 udp 2130706431 ${host} ${port} typ host`;
  const lines = [
    "v=0",
    "o=- 1 1 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    "a=ice-lite",
    `a=group:BUNDLE ${mid}`,
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    `a=mid:${mid}`,
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${password}`,
    `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => "00").join(":")}`,
    "a=setup:active",
    "a=sctp-port:5000",
    ...(candidates ? [candidate, "a=end-of-candidates"] : []),
  ];
  return `${lines.join("\r\n")}\r\n`;
}

function connected(connection: RTCPeerConnection, patience: number, stop?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (result: boolean): void => {
      clearTimeout(timer);
      connection.oniceconnectionstatechange = null;
      resolve(result);
    };
    const timer = setTimeout(() => end(false), patience);
    const look = (): void => {
      const state = connection.iceConnectionState;
      if (state === "connected" || state === "completed") end(true);
      else if (state === "failed" || state === "closed") end(false);
    };
    connection.oniceconnectionstatechange = look;
    stop?.addEventListener("abort", () => end(false), { once: true });
    if (stop?.aborted) end(false);
    else look();
  });
}

/** The port of our own address in the pair that works. */
async function mappedPort(connection: RTCPeerConnection): Promise<number | undefined> {
  const stats = await connection.getStats();
  for (const entry of reports(stats)) {
    if (entry["type"] !== "candidate-pair" || entry["state"] !== "succeeded") continue;
    const local = stats.get(String(entry["localCandidateId"])) as Record<string, unknown> | undefined;
    const port = local?.["port"];
    if (typeof port === "number") return port;
  }
  return undefined;
}

async function hasPair(connection: RTCPeerConnection): Promise<boolean> {
  return [...reports(await connection.getStats())].some((entry) => entry["type"] === "candidate-pair");
}

function reports(stats: RTCStatsReport): Record<string, unknown>[] {
  return [...(stats as unknown as Map<string, Record<string, unknown>>).values()];
}
