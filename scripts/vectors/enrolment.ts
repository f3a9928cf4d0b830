import { SECRET, SERVER_ID } from "./inputs.ts";
import { sample, utf8, x25519Public } from "./primitives.ts";

const PREFIX = "tock://enroll/1#";

const PAYLOAD = {
  device: "alice/phone",
  server: "myserver",
  addresses: ["192.0.2.1", "2001:db8::1", "server.example"],
  port: 62201,
  knock: { first: 10000, last: 32767, length: 4, transport: "tcp" },
  replies: true,
  isStatic: false,
  secondFactor: false,
  rotateAfter: 2_592_000,
  serverId: SERVER_ID.toString("base64url"),
  serverKey: x25519Public(sample("tock vectors: server key", 32)).toString("base64url"),
  secret: SECRET.toString("base64url"),
  services: [
    { name: "ssh", ports: ["tcp/22"] },
    { name: "mosh", ports: ["tcp/22", "udp/60000-61000"] },
  ],
};

type Payload = Record<string, unknown>;

const text = (payload: unknown): string => utf8(JSON.stringify(payload)).toString("base64url");
const link = (payload: unknown): string => PREFIX + text(payload);
const changed = (change: Payload): Payload => ({ ...PAYLOAD, ...change });

function without(name: string): Payload {
  return Object.fromEntries(Object.entries(PAYLOAD).filter(([key]) => key !== name));
}

/** Links and the JSON in them; `payload` is null where the link must be refused. */
export function enrolments(): object[] {
  const noKnock = without("knock");
  const plain: Payload = {
    ...without("rotateAfter"),
    rotateAfter: 0,
    replies: false,
    isStatic: true,
    secondFactor: true,
  };
  const good: [string, string, Payload][] = [
    ["tock link", link(PAYLOAD), PAYLOAD],
    ["https page", `https://tock.example/a/page.html#${text(PAYLOAD)}`, PAYLOAD],
    ["page on disk", `file:///home/alice/tock.html#${text(PAYLOAD)}`, PAYLOAD],
    ["white space around it", `  ${link(PAYLOAD)}\n`, PAYLOAD],
    ["no knock", link(noKnock), noKnock],
    ["knock of null", link({ ...PAYLOAD, knock: null }), noKnock],
    ["static, silent, second factor", link(plain), plain],
    ["field that is not known", link({ ...PAYLOAD, future: [1] }), PAYLOAD],
    [
      "eight addresses",
      ...linked(changed({ addresses: Array.from({ length: 8 }, (_, i) => `192.0.2.${i}`) })),
    ],
  ];
  return [
    ...good.map(([name, from, payload]) => ({ name, link: from, payload })),
    ...bad().map(([name, from]) => ({ name, link: from, payload: null })),
  ];
}

function linked(payload: Payload): [string, Payload] {
  return [link(payload), payload];
}

function bad(): [string, string][] {
  const whole = link(PAYLOAD);
  const knock = (change: Payload): string => link(changed({ knock: { ...PAYLOAD.knock, ...change } }));
  const services = (value: unknown): string => link(changed({ services: value }));
  const missing = Object.keys(PAYLOAD).filter(
    (key) => !["knock", "replies", "isStatic", "secondFactor"].includes(key),
  );
  return [
    ["nothing", ""],
    ["no #", whole.replace("#", "?")],
    ["another version", whole.replace("/1#", "/2#")],
    ["another scheme", whole.replace("tock:", "otpauth:")],
    ["nothing after #", PREFIX],
    ["cut short by one character", whole.slice(0, -1)],
    ["cut in the middle", whole.slice(0, 300)],
    ["padding at its end", `${whole}=`],
    ["base64 instead of base64url", `${whole}+/`],
    ["spare bits set", `${PREFIX}e31`],
    ["not JSON", `${PREFIX}${utf8("hello").toString("base64url")}`],
    ["JSON, but a list", link([PAYLOAD])],
    ["JSON, but null", link(null)],
    ["JSON, but a number", link(1)],
    ["longer than 8192", `${PREFIX}${text({ ...PAYLOAD, filler: "x".repeat(8192) })}`],
    ...missing.map((key): [string, string] => [`${key} is missing`, link(without(key))]),
    ["secret of 31 bytes", link(changed({ secret: SECRET.subarray(1).toString("base64url") }))],
    ["secret of 33 bytes", link(changed({ secret: Buffer.alloc(33).toString("base64url") }))],
    ["secret in hex", link(changed({ secret: SECRET.toString("hex") }))],
    ["secret as a list", link(changed({ secret: [...SECRET] }))],
    ["serverId of 15 bytes", link(changed({ serverId: SERVER_ID.subarray(1).toString("base64url") }))],
    ["serverKey of 31 bytes", link(changed({ serverKey: SECRET.subarray(1).toString("base64url") }))],
    ["device without a user", link(changed({ device: "phone" }))],
    ["device with an upper-case letter", link(changed({ device: "Alice/phone" }))],
    ["device of three parts", link(changed({ device: "a/b/c" }))],
    ["device with a way up", link(changed({ device: "../phone" }))],
    ["server with a slash", link(changed({ server: "../../etc/passwd" }))],
    ["server of 64 characters", link(changed({ server: "s".repeat(64) }))],
    ["no addresses", link(changed({ addresses: [] }))],
    ["nine addresses", link(changed({ addresses: Array.from({ length: 9 }, () => "192.0.2.1") }))],
    ["address with an option's dash", link(changed({ addresses: ["-oProxyCommand=x"] }))],
    ["address with a space", link(changed({ addresses: ["192.0.2.1 x"] }))],
    ["address with a zone", link(changed({ addresses: ["fe80::1%eth0"] }))],
    ["IPv4 address out of range", link(changed({ addresses: ["192.0.2.256"] }))],
    ["addresses as text", link(changed({ addresses: "192.0.2.1" }))],
    ["port 0", link(changed({ port: 0 }))],
    ["port 65536", link(changed({ port: 65536 }))],
    ["port as text", link(changed({ port: "62201" }))],
    ["port of true", link(changed({ port: true }))],
    ["port in a list", link(changed({ port: [62201] }))],
    ["knock of length 2", knock({ length: 2 })],
    ["knock of length 9", knock({ length: 9 })],
    ["knock over a narrow range", knock({ last: 11022 })],
    ["knock over a range turned round", knock({ first: 32767, last: 10000 })],
    ["knock from port 0", knock({ first: 0 })],
    ["knock up to port 65536", knock({ last: 65536 })],
    ["knock with another transport", knock({ transport: "sctp" })],
    ["knock of text", link(changed({ knock: "10000-32767" }))],
    ["no services", services([])],
    ["65 services", services(Array.from({ length: 65 }, (_, i) => ({ name: `s${i}`, ports: ["tcp/22"] })))],
    ["service without ports", services([{ name: "ssh", ports: [] }])],
    ["service with a bad name", services([{ name: "SSH", ports: ["tcp/22"] }])],
    ["service with a bad range", services([{ name: "ssh", ports: ["tcp/23-22"] }])],
    ["service with another protocol", services([{ name: "ssh", ports: ["sctp/22"] }])],
    ["service of null", services([null])],
    ["rotateAfter below 0", link(changed({ rotateAfter: -1 }))],
    ["rotateAfter with a fraction", link(changed({ rotateAfter: 0.5 }))],
  ];
}
