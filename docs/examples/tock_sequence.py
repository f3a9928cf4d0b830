#!/usr/bin/env python3
"""The key schedule and the knock sequence of docs/PROTOCOL.md, with nothing but Python's standard library.

    tock_sequence.py [--at UNIX_SECONDS] < link.txt

reads an enrolment link (of a device made with --static: any other link's secret can only rotate) and prints the ports
to knock on now, in order. Nothing is sent. The link is a secret: keep it in a file that only you can read.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import time

BLOCKED = {10080}
LENGTHS = {"tag": 8, "seal": 32, "ack": 32, "ice": 18, "knock": 64}


def hkdf(ikm, salt, info, length):
    """RFC 5869 with SHA-256."""
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    block, output, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        output, counter = output + block, counter + 1
    return output[:length]


def derive(secret, server_id, label, step, block=0):
    """K(label, step); `block` is that of a knock sequence which needs more words than the first 64 bytes hold."""
    info = label.encode() + (bytes([block]) if block else b"") + step.to_bytes(8, "big")
    return hkdf(secret, b"tock/1" + server_id, info, LENGTHS[label])


def knock_sequence(secret, server_id, step, first, last, length):
    """The ports of a step, in order."""
    span = last - first + 1
    fair = 65536 // span * span
    ports, block = [], 0
    while len(ports) < length:
        words = derive(secret, server_id, "knock", step, block)
        for at in range(0, 64, 2):
            word = int.from_bytes(words[at : at + 2], "big")
            port = first + word % span
            if word < fair and port not in BLOCKED and port not in ports and len(ports) < length:
                ports.append(port)
        block += 1
    return ports


def unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at", type=int, default=int(time.time()), help="unix seconds instead of the clock's")
    at = parser.parse_args().at
    payload = json.loads(unbase64url(sys.stdin.read().strip().partition("#")[2]))
    shape = payload.get("knock")
    if not payload.get("isStatic") or shape is None:
        sys.exit("tock_sequence: error: this device may not knock with its link's secret")
    secret, server_id = unbase64url(payload["secret"]), unbase64url(payload["serverId"])
    print(*knock_sequence(secret, server_id, at // 30, shape["first"], shape["last"], shape["length"]))


if __name__ == "__main__":
    main()
