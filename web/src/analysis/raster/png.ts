/** PNG of 8 and 16 bits, exactly: a canvas would make 8 bits of them. */

import { type Samples, sizeRefusal } from "../pixels/content";
import { damaged } from "../pixels/streams";
import { Refusal } from "../types";

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 4: 2, 6: 4 };
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

export async function decodePng(
  bytes: Uint8Array,
  source: string,
): Promise<{ samples: Samples; exif: Uint8Array }> {
  const { header, body, exif } = chunksOf(bytes, source);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [cols, rows] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, , , interlaced] = header.subarray(8, 13);
  const error = sizeRefusal(rows, cols, source);
  if (error !== null) throw error;
  const channels = CHANNELS[colour];
  if (channels === undefined || (depth !== 8 && depth !== 16) || interlaced) {
    const what = interlaced ? "interlaced" : channels ? `of ${depth} bits` : "with a palette";
    throw new Refusal("UnsupportedImage", `a PNG ${what} is not read on this device`, {
      source,
      remedy: "Export a grey picture of 8 or 16 bits",
    });
  }
  const sampleBytes = depth / 8;
  const pixelBytes = channels * sampleBytes;
  const line = cols * pixelBytes;
  const raw = await inflated(body, rows * (line + 1), source);
  const flat = unfiltered(raw, rows, line, pixelBytes, source);
  return { samples: { data: numbers(flat, depth), rows, cols, samples: channels }, exif };
}

function chunksOf(
  bytes: Uint8Array,
  source: string,
): { header: Uint8Array; body: Uint8Array[]; exif: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const body: Uint8Array[] = [];
  let header: Uint8Array | null = null;
  let exif = new Uint8Array(0) as Uint8Array;
  let at = 8;
  for (let kind = ""; kind !== "IEND"; ) {
    const length = at + 12 <= bytes.length ? view.getUint32(at) : Number.POSITIVE_INFINITY;
    if (
      at + 12 + length > bytes.length ||
      crc(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)
    ) {
      throw damaged("the PNG is truncated or damaged", source);
    }
    kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (header === null && (kind !== "IHDR" || length !== 13)) {
      throw damaged("the PNG has no header", source);
    }
    if (kind === "IHDR") header = data;
    if (kind === "IDAT") body.push(data);
    if (kind === "eXIf") exif = data;
    at += 12 + length;
  }
  if (header === null) throw damaged("the PNG has no header", source);
  return { header, body, exif };
}

function crc(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC_TABLE[(c ^ byte) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** Inflates exactly `size` bytes; more or fewer are an error. */
async function inflated(parts: Uint8Array[], size: number, source: string): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let at = 0;
  try {
    const stream = new Blob(parts as Uint8Array<ArrayBuffer>[])
      .stream()
      .pipeThrough(new DecompressionStream("deflate"));
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > size) {
        await reader.cancel();
        throw new Error("too long");
      }
      out.set(value, at);
      at += value.length;
    }
  } catch {
    throw damaged("the compressed picture cannot be decoded", source);
  }
  if (at < size) throw damaged("the compressed picture cannot be decoded", source);
  return out;
}

function unfiltered(
  raw: Uint8Array,
  rows: number,
  line: number,
  step: number,
  source: string,
): Uint8Array {
  const out = new Uint8Array(rows * line);
  for (let y = 0; y < rows; y++) {
    const filter = raw[y * (line + 1)];
    const from = y * (line + 1) + 1;
    const to = y * line;
    if (filter > 4) throw damaged("the PNG has an unknown filter", source);
    for (let x = 0; x < line; x++) {
      const left = x >= step ? out[to + x - step] : 0;
      const up = y > 0 ? out[to + x - line] : 0;
      const corner = x >= step && y > 0 ? out[to + x - line - step] : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = up;
      else if (filter === 3) guess = (left + up) >> 1;
      else if (filter === 4) guess = paeth(left, up, corner);
      out[to + x] = raw[from + x] + guess;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

function numbers(bytes: Uint8Array, depth: number): Uint8Array | Uint16Array {
  if (depth === 8) return bytes;
  const out = new Uint16Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = (bytes[2 * i] << 8) | bytes[2 * i + 1];
  return out;
}
