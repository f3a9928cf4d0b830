import { NOW } from "./inputs.ts";
import { address16 } from "./requests.ts";

/** The results in the order of their numbers. */
const NUMBERS: Readonly<Record<string, number>> = {
  refused: 1,
  "second-factor": 2,
  expired: 3,
  "rotate-first": 4,
  "firewall-error": 5,
  closed: 6,
  rotated: 7,
  pong: 8,
};
const V4 = "192.0.2.33";
const V6 = "2001:db8:ffff::fffe:1:2";

/** What the STUN form tells in the port of its XOR-MAPPED-ADDRESS. */
export function answerWords(): object[] {
  const opened = [1, 30, 255, 256, 65279].map((lifetime) => entry("opened", lifetime, V4, 0, lifetime));
  const others = Object.entries(NUMBERS).map(([result, number]) => entry(result, 0, V4, 0, 0xff00 + number));
  const details = [V4, V6].flatMap((source) =>
    Array.from({ length: 9 }, (_, index) => entry("pong", 0, source, index + 1, 1 + piece(source, index))),
  );
  const clock = entry("pong", 0, V4, 10, 1 + (Math.floor(NOW / 1000) % 32768));
  return [
    ...opened,
    entry("opened", 65535, V4, 0, 65279),
    ...others,
    entry("refused", 0, V4, 3, 0xff01),
    ...details,
    clock,
  ];
}

/** 15 bits of the address, counted from its end, cut out of it as text. */
function piece(source: string, index: number): number {
  const bits = [...address16(source)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return Number.parseInt(bits.slice(Math.max(0, 128 - 15 * (index + 1)), 128 - 15 * index), 2);
}

function entry(result: string, lifetime: number, source: string, detail: number, word: number): object {
  const name = `${result}${lifetime === 0 ? "" : ` for ${lifetime} s`}${detail === 0 ? "" : `, ${source}, detail ${detail}`}`;
  return { name, result, lifetime, serverTime: NOW, source, detail, word };
}
