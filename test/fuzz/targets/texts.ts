import { decodeProfile, encodeProfile, type Profile } from "../../../client/profile.ts";
import { parseSettings } from "../../../server/config/parse.ts";
import { configTemplate } from "../../../server/config/template.ts";
import { parseAddress, parseNetwork } from "../../../shared/address.ts";
import { ascii, base64url, fromBase64url, hex } from "../../../shared/bytes.ts";
import { decodeEnrolment, encodeEnrolment, LINK_PREFIX } from "../../../shared/enrolment.ts";
import { parsePortRange } from "../../../shared/port-range.ts";
import { unwrap } from "../../../shared/result.ts";
import { bytesFrom, NOW, secretFrom } from "../../support/core.ts";
import type { Target } from "../loop.ts";

/** Texts that people, links and files bring. What is wrong with them is told without showing a secret. */

const text = (input: Uint8Array): string => Buffer.from(input).toString("utf8");

const LINK = {
  serverId: base64url(bytesFrom("server", 16)),
  serverKey: base64url(bytesFrom("key", 32)),
  secret: base64url(bytesFrom("secret", 32)),
  device: "alice/phone",
  server: "home.example",
  addresses: ["192.0.2.1", "2001:db8::1", "home.example"],
  port: 62_201,
  services: [{ name: "ssh", ports: ["tcp/22", "udp/60000-61000"] }],
  rotateAfter: 86_400,
  knock: { first: 10_000, last: 32_767, length: 4, transport: "tcp" },
  replies: true,
  isStatic: false,
  secondFactor: true,
};

/** The JSON of a link. What decodes is encoded to a link that decodes to the same; an error repeats no secret. */
function linkTarget(input: Uint8Array): void {
  const link = LINK_PREFIX + base64url(input);
  const first = decodeEnrolment(link);
  if (!first.ok) {
    for (const [secret] of text(input).matchAll(/[\w-]{43}/g)) {
      if (first.error.message.includes(secret)) throw new Error("the error shows a secret");
    }
    return;
  }
  const again = unwrap(decodeEnrolment(encodeEnrolment(first.value)));
  const { secret, ...info } = first.value;
  const { secret: secretAgain, ...infoAgain } = again;
  if (JSON.stringify(info) !== JSON.stringify(infoAgain)) throw new Error("another link");
  if (hex(secret.expose()) !== hex(secretAgain.expose())) throw new Error("another secret");
}

/** The link as it is typed or pasted. */
function linkTextTarget(input: Uint8Array): void {
  decodeEnrolment(text(input));
  decodeEnrolment(`  ${LINK_PREFIX}${text(input)}\n`);
  fromBase64url(text(input));
}

/** A configuration is taken, or all its mistakes are told, each on a line that there is. */
function configTarget(input: Uint8Array): void {
  const source = text(input);
  const settings = parseSettings(source, "tockd.toml");
  if (settings.ok) {
    const { server, services, skew } = settings.value;
    if (services.length === 0 || server.port < 1 || skew.past > 4 || skew.future > 4)
      throw new Error("taken");
    return;
  }
  if (settings.error.length === 0) throw new Error("no reason");
  for (const mistake of settings.error) {
    if (mistake.message === "" || /\n\s+at /.test(mistake.message)) throw new Error("a bad message");
  }
}

const PROFILE: Profile = {
  name: "home",
  info: unwrap(decodeEnrolment(LINK_PREFIX + base64url(ascii(JSON.stringify(LINK))))),
  createdAt: NOW,
  keys: {
    kind: "plain",
    keys: {
      current: secretFrom("current"),
      since: NOW,
      enrolling: false,
      next: {
        secret: secretFrom("next"),
        ephemeral: bytesFrom("ephemeral", 32),
        since: NOW,
        acknowledged: true,
      },
    },
  },
};

function profileTarget(input: Uint8Array): void {
  const profile = decodeProfile("home", text(input));
  if (!profile.ok) return;
  const again = unwrap(decodeProfile("home", encodeProfile(profile.value)));
  if (encodeProfile(again) !== encodeProfile(profile.value)) throw new Error("another profile");
}

/** Addresses, networks and ports: what is parsed prints as what parses to the same. */
function addressTarget(input: Uint8Array): void {
  const source = text(input);
  const address = parseAddress(source);
  if (address.ok && !unwrap(parseAddress(address.value.text)).equals(address.value)) throw new Error(source);
  const network = parseNetwork(source);
  if (network.ok && address.ok && !network.value.contains(address.value)) throw new Error(source);
  parsePortRange(source);
}

const config = configTemplate({
  name: "home",
  addresses: ["192.0.2.1"],
  port: "62201",
  services: [{ name: "ssh", ports: ["tcp/22"] }],
  users: ["alice"],
  knock: true,
  state: undefined,
  socket: undefined,
  backend: undefined,
  allow: ["198.51.100.0/24"],
});
const FULL = `[server]\nname = "home"\naddresses = ["192.0.2.1"]\nport = 62201\n[clock]\npast = 1\nfuture = 1
[knock]\nports = "10000-32767"\nlength = 4\ntransport = "tcp"\n[rotation]\nrotate_after = "30d"
[services.ssh]\nports = ["tcp/22"]\nttl = "30s"\nmax_ttl = "5m"\nsecond_factor = "off"
[users.alice]\nservices = ["ssh"]\nexpires = 2027-01-01\nnetworks = ["192.0.2.0/24"]\nhours = "mon-fri 08:00-18:00"\n`;
const keys =
  "server name addresses port clock past knock ports length services users ttl expires networks deny hours";

export const TEXT_TARGETS: readonly Target[] = [
  {
    name: "link",
    seeds: [
      ascii(JSON.stringify(LINK)),
      ascii(JSON.stringify({ ...LINK, knock: undefined, isStatic: true })),
    ],
    words: [...Object.keys(LINK), "__proto__", "null", "-1", "1e999", "\\u0000", "[]", "{}"].map(ascii),
    run: linkTarget,
  },
  {
    name: "link-text",
    seeds: [
      ascii(LINK_PREFIX + base64url(ascii(JSON.stringify(LINK)))),
      ascii(`https://a.example/#${LINK.secret}`),
    ],
    words: [LINK_PREFIX, "tock://", "#", "=", "%20"].map(ascii),
    run: linkTextTarget,
  },
  {
    name: "config",
    seeds: [ascii(config.replace(/[^\n\x20-\x7e]/g, "")), ascii(FULL)],
    words: [
      ...keys.split(" "),
      "[",
      "]]",
      '"""',
      "'",
      "=",
      ".",
      "inf",
      "0x7f",
      "2027-02-30",
      "__proto__",
      "\n",
    ].map(ascii),
    run: configTarget,
  },
  {
    name: "profile",
    seeds: [ascii(encodeProfile(PROFILE))],
    words: ["__proto__", "null", "sealed", "lock", "box", "{", "[", "1e999"].map(ascii),
    run: profileTarget,
  },
  {
    name: "address",
    seeds: ["192.0.2.1/24", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", "tcp/22", "udp/1-65535"].map(
      ascii,
    ),
    words: ["::", ":", ".", "/", "ffff", "0", "255", "256", "128"].map(ascii),
    run: addressTarget,
  },
];
