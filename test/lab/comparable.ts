import type { Packet } from "./pcap.ts";

/**
 * A frame that one host sent to another, in hex, without what differs between any two hosts, or between two answers of one:
 * hardware and IP addresses, IPv4 identification, the asker's port (its program picks one), TCP sequence and
 * acknowledgement numbers, the values of TCP timestamps, IP and transport checksums, which cover these; and in an
 * ICMP error the same fields of the packet that it quotes, and its time to live, which nmap picks. Everything else stays: time to live, flags, window, options
 * and their order, lengths, payloads.
 */
export function comparable({ frame, type }: Packet): string {
  const bytes = Buffer.from(frame);
  bytes.fill(0, 0, 12);
  if (type === 0x0800) blankIpv4(bytes.subarray(14), "source");
  else if (type === 0x86dd) blankIpv6(bytes.subarray(14), "source");
  return bytes.toString("hex");
}

type Own = "source" | "target";

/** `own`: on which side the port of the host under comparison is; the other one is the asker's. */
function blankIpv4(ip: Buffer, own: Own): void {
  if (ip.length < 20) return;
  ip.fill(0, 4, 6);
  if (own === "target") ip.fill(0, 8, 9);
  ip.fill(0, 10, 20);
  blankTransport(ip[9], ip.subarray(((ip[0] ?? 0) & 15) * 4), own);
}

function blankIpv6(ip: Buffer, own: Own): void {
  if (ip.length < 40) return;
  // The flow label is random, too.
  ip.fill(0, 1, 4);
  if (own === "target") ip.fill(0, 7, 8);
  ip.fill(0, 8, 40);
  blankTransport(ip[6], ip.subarray(40), own);
}

function blankTransport(protocol: number | undefined, data: Buffer, own: Own): void {
  const port = own === "source" ? 2 : 0;
  if (protocol === 6) {
    data.fill(0, port, port + 2);
    data.fill(0, 4, 12);
    data.fill(0, 16, 18);
    blankTimestamps(data.subarray(20, ((data[12] ?? 0) >> 4) * 4));
  } else if (protocol === 17) {
    data.fill(0, port, port + 2);
    data.fill(0, 6, 8);
    // nmap's look at the operating system asks a closed port of its own choice, with 300 times the letter C.
    if (own === "target" && data.length > 200 && data.subarray(8).every((byte) => byte === 0x43))
      data.fill(0, 0, 4);
  } else if (protocol === 132 && own === "target") {
    // SCTP, quoted: tag, checksum and chunk are the asker's.
    data.fill(0, 0, 2);
    data.fill(0, 4);
  } else if (protocol === 1 || protocol === 58) {
    data.fill(0, 2, 4);
    const isError = protocol === 1 ? data[0] === 3 : (data[0] ?? 255) < 128;
    // An echo carries what the asker chose: identifier, number and its own data.
    if (!isError) data.fill(0, 4);
    else if (protocol === 1) blankIpv4(data.subarray(8), "target");
    else blankIpv6(data.subarray(8), "target");
  } else if (own === "target") {
    // Extension headers, quoted: all of it is the asker's.
    data.fill(0);
  }
}

/** TCP option 8 (RFC 7323): two values of 4 bytes. */
function blankTimestamps(options: Buffer): void {
  for (let at = 0; at < options.length; ) {
    const kind = options[at] ?? 0;
    if (kind === 8) options.fill(0, at + 2, at + 10);
    at += kind < 2 ? 1 : Math.max(2, options[at + 1] ?? 2);
  }
}
