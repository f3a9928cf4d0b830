import { deflateSync } from "node:zlib";

/** The app's icon: a clock's face that is a door's lock is too clever at 48 pixels, so it is a clock. */

type Colour = readonly [red: number, green: number, blue: number];
const GROUND: Colour = [10, 107, 85];
const INK: Colour = [255, 255, 255];

export const ICON_SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><rect width="512" height="512" fill="#0a6b55"/><g fill="none" stroke="#fff" stroke-width="30" stroke-linecap="round"><circle cx="256" cy="256" r="135"/><path d="M256 181v75l45 45"/></g></svg>
`;

/** The same drawing as a PNG of so many pixels, with soft edges; whole to its corners, as masks want it. */
export function iconPng(size: number): Buffer {
  const scale = 512 / size;
  const rows = Array.from({ length: size }, (_, y) => {
    const row = Buffer.alloc(1 + size * 3);
    for (let x = 0; x < size; x++) {
      const share = cover((x + 0.5) * scale, (y + 0.5) * scale, scale);
      for (let part = 0; part < 3; part++) {
        row[1 + x * 3 + part] = Math.round(GROUND[part]! * (1 - share) + INK[part]! * share);
      }
    }
    return row;
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.concat(rows), { level: 9 });
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** How much of a pixel of so many units the white lines cover, 0 to 1. */
function cover(x: number, y: number, pixel: number): number {
  const circle = Math.abs(Math.hypot(x - 256, y - 256) - 135);
  const hands = Math.min(toLine(x, y, 256, 181, 256, 256), toLine(x, y, 256, 256, 301, 301));
  return Math.min(1, Math.max(0, (15 - Math.min(circle, hands)) / pixel + 0.5));
}

function toLine(x: number, y: number, x1: number, y1: number, x2: number, y2: number): number {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}

/** PNG specification §5.3. */
function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "ascii"), data]);
  const all = Buffer.alloc(body.length + 8);
  all.writeUInt32BE(data.length, 0);
  body.copy(all, 4);
  all.writeUInt32BE(crc32(body), body.length + 4);
  return all;
}

function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
