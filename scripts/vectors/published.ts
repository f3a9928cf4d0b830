import {
  aeadSeal,
  bytes,
  crc32,
  hchacha20,
  hkdf,
  hkdfExtract,
  hmacSha1,
  utf8,
  x25519,
  x25519Public,
} from "./primitives.ts";

/** Vectors that others published, copied from their documents. The primitives here must reproduce them before anything is made. */
export function published(): object {
  const all = {
    hkdf: HKDF,
    totp: TOTP,
    hchacha20: HCHACHA,
    xchacha20poly1305: XCHACHA,
    x25519: X25519,
    stun: STUN,
  };
  checkHkdf();
  checkTotp();
  checkXChaCha();
  checkX25519();
  checkStun();
  return all;
}

function same(name: string, got: Buffer | undefined, expected: string): void {
  if (got?.toString("hex") !== expected)
    throw new Error(`${name}: expected ${expected}, got ${got?.toString("hex")}`);
}

const run = (first: number, last: number): string =>
  Array.from({ length: last - first + 1 }, (_, index) => (first + index).toString(16).padStart(2, "0")).join(
    "",
  );

const HKDF = [
  {
    name: "RFC 5869 A.1",
    ikm: "0b".repeat(22),
    salt: run(0, 12),
    info: run(0xf0, 0xf9),
    length: 42,
    prk: "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
    okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
  },
  {
    name: "RFC 5869 A.2",
    ikm: run(0, 0x4f),
    salt: run(0x60, 0xaf),
    info: run(0xb0, 0xff),
    length: 82,
    prk: "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
    okm: "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
  },
  {
    name: "RFC 5869 A.3",
    ikm: "0b".repeat(22),
    salt: "",
    info: "",
    length: 42,
    prk: "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
    okm: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  },
];

function checkHkdf(): void {
  for (const { name, ikm, salt, info, length, prk, okm } of HKDF) {
    same(name, hkdfExtract(bytes(ikm), bytes(salt)), prk);
    same(name, hkdf(bytes(ikm), bytes(salt), bytes(info), length), okm);
  }
}

const TOTP = {
  name: "RFC 6238 Appendix B, SHA-1",
  secret: utf8("12345678901234567890").toString("hex"),
  digits: 8,
  values: [
    { seconds: 59, step: 0x1, code: "94287082" },
    { seconds: 1111111109, step: 0x23523ec, code: "07081804" },
    { seconds: 1111111111, step: 0x23523ed, code: "14050471" },
    { seconds: 1234567890, step: 0x273ef07, code: "89005924" },
    { seconds: 2000000000, step: 0x3f940aa, code: "69279037" },
    { seconds: 20000000000, step: 0x27bc86aa, code: "65353130" },
  ],
};

/** RFC 4226 §5.3 on the counter. */
function checkTotp(): void {
  for (const { seconds, step, code } of TOTP.values) {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(seconds) / 30n);
    if (counter.readBigUInt64BE() !== BigInt(step)) throw new Error(`RFC 6238: step of ${seconds}`);
    const mac = hmacSha1(bytes(TOTP.secret), counter);
    const number = (mac.readUInt32BE(mac[19]! & 15) & 0x7fffffff) % 10 ** TOTP.digits;
    same("RFC 6238", utf8(String(number).padStart(TOTP.digits, "0")), utf8(code).toString("hex"));
  }
}

const HCHACHA = {
  name: "draft-irtf-cfrg-xchacha-03 §2.2.1",
  key: run(0, 0x1f),
  nonce: "000000090000004a0000000031415927",
  subkey: "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc",
};

const XCHACHA = {
  name: "draft-irtf-cfrg-xchacha-03 A.3.1",
  key: run(0x80, 0x9f),
  nonce: run(0x40, 0x57),
  aad: "50515253c0c1c2c3c4c5c6c7",
  plaintext: utf8(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  ).toString("hex"),
  sealed:
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
};

function checkXChaCha(): void {
  same(HCHACHA.name, hchacha20(bytes(HCHACHA.key), bytes(HCHACHA.nonce)), HCHACHA.subkey);
  const { name, key, nonce, aad, plaintext, sealed } = XCHACHA;
  same(name, aeadSeal(bytes(key), bytes(nonce), bytes(aad), bytes(plaintext)), sealed);
}

const X25519 = {
  name: "RFC 7748 §6.1",
  aliceSecret: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
  alicePublic: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
  bobSecret: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
  bobPublic: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
  shared: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
};

function checkX25519(): void {
  same(X25519.name, x25519Public(bytes(X25519.aliceSecret)), X25519.alicePublic);
  same(X25519.name, x25519Public(bytes(X25519.bobSecret)), X25519.bobPublic);
  same(X25519.name, x25519(bytes(X25519.aliceSecret), bytes(X25519.bobPublic)), X25519.shared);
  same(X25519.name, x25519(bytes(X25519.bobSecret), bytes(X25519.alicePublic)), X25519.shared);
}

const STUN = [
  {
    name: "RFC 5769 §2.1, request",
    password: "VOkJxbRl1RmTxUk/WvJxBt",
    transactionId: "b7e7a701bc34d686fa87dfae",
    message:
      "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
  },
  {
    name: "RFC 5769 §2.2, IPv4 response",
    password: "VOkJxbRl1RmTxUk/WvJxBt",
    transactionId: "b7e7a701bc34d686fa87dfae",
    source: "192.0.2.1",
    sourcePort: 32853,
    xorMappedAddress: "0001a147e112a643",
    message:
      "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
  },
  {
    name: "RFC 5769 §2.3, IPv6 response",
    password: "VOkJxbRl1RmTxUk/WvJxBt",
    transactionId: "b7e7a701bc34d686fa87dfae",
    source: "2001:db8:1234:5678:11:2233:4455:6677",
    sourcePort: 32853,
    xorMappedAddress: "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
    message:
      "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200014" +
      "0002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
  },
];

/** MESSAGE-INTEGRITY and FINGERPRINT as scripts/vectors/stun.ts computes them. */
function checkStun(): void {
  for (const { name, message, password } of STUN) {
    const all = bytes(message);
    const beforeIntegrity = Buffer.from(all.subarray(0, -32));
    beforeIntegrity.writeUInt16BE(all.length - 20 - 8, 2);
    same(name, hmacSha1(utf8(password), beforeIntegrity), all.subarray(-28, -8).toString("hex"));
    const fingerprint = (crc32(all.subarray(0, -8)) ^ 0x5354554e) >>> 0;
    if (fingerprint !== all.readUInt32BE(all.length - 4)) throw new Error(`${name}: fingerprint`);
  }
}
