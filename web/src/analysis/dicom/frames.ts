/** The bytes of the single frame, and how they are compressed, as `mammolens...dicom.frames`. */

import { codestream, startsCodestream, streamSize } from "../pixels/streams";
import { Refusal } from "../types";
import type { Codec } from "./syntaxes";
import type { Tags } from "./tags";

export interface PixelElement {
  readonly value: Uint8Array;
  readonly openEnded: boolean;
}

export interface Frame {
  readonly data: Uint8Array;
  readonly codec: Codec;
}

const UNDEFINED = 0xffffffff;
const JPEG_LS = 0xf7;

/** The pixel data element at the start of `rest`. */
export function pixelElement(rest: Uint8Array, tags: Tags): PixelElement {
  const head = new Uint8Array(12);
  head.set(rest.subarray(0, 12));
  const view = new DataView(head.buffer);
  const tag = view.getUint16(0, true) * 0x10000 + view.getUint16(2, true);
  if (tag !== 0x7fe00010 || rest.length <= 8) {
    throw tags.unusable("PixelData", "is missing: the file is truncated or has no picture");
  }
  const vr = String.fromCharCode(head[4], head[5]);
  const start = vr === "OB" || vr === "OW" || vr === "UN" ? 12 : 8;
  const length = view.getUint32(start - 4, true);
  if (length === UNDEFINED) return { value: rest.subarray(start), openEnded: true };
  return { value: rest.subarray(start, start + length), openEnded: false };
}

/** The bytes of the single frame; `bytes` is the size of the uncompressed picture. */
export function oneFrame(element: PixelElement, bytes: number, declared: Codec, tags: Tags): Frame {
  const { value, openEnded } = element;
  if (!value.length) {
    throw tags.unusable("PixelData", "is empty: the file is truncated or has no picture");
  }
  const isItem = isMark(value, 0, 0x00) || isMark(value, 0, 0xdd);
  const plain = (value.length === bytes || value.length === bytes + 1) && !openEnded;
  if (plain || (declared === "uncompressed" && !isItem && codecOf(value) === null)) {
    if (openEnded) throw tags.unusable("PixelData", "has an undefined length and no frame");
    return { data: value, codec: "uncompressed" };
  }
  const parts = isItem ? fragments(value, tags) : [value];
  const starts = parts.flatMap((part, n) => (codecOf(part) === null ? [] : [n]));
  if (starts.length > 1 && starts[0] === 0) {
    const text = `${starts.length} frames in one object are not read`;
    throw new Refusal("UnsupportedImage", text, {
      source: tags.source,
      keyword: "NumberOfFrames",
      remedy: "Send single 2D or synthetic 2D views",
    });
  }
  const data = parts.length === 1 ? parts[0] : joined(parts);
  const codec = codecOf(data) ?? declared;
  if (codec === "uncompressed" && data.length < bytes) {
    throw tags.unusable("PixelData", "has no picture in a supported form");
  }
  if (codec === "uncompressed" || codec === "RLE") return { data, codec };
  if (codec === "JPEG 2000") {
    const bare = codestream(data, tags.source);
    if (bare.length < data.length) {
      const text = "PixelData has a JP2 file instead of a JPEG 2000 stream";
      tags.caution("jp2_container", text);
    }
    return { data: bare, codec };
  }
  const isLs = streamSize(data, tags.source).frame === JPEG_LS;
  return { data, codec: isLs ? "JPEG-LS" : "JPEG" };
}

/** The compression of a stream by its first bytes. */
export function codecOf(data: Uint8Array): Codec | null {
  if (data[0] === 0xff && data[1] === 0xd8 && data[2] === 0xff) return "JPEG";
  if (startsCodestream(data)) return "JPEG 2000";
  if (data[4] === 0x6a && data[5] === 0x50 && data[6] === 0x20 && data[7] === 0x20) {
    return "JPEG 2000";
  }
  if (data.length < 64) return null;
  const view = new DataView(data.buffer, data.byteOffset, 64);
  const numbers = Array.from({ length: 16 }, (_, n) => view.getUint32(4 * n, true));
  const [count, ...offsets] = numbers;
  if (count < 1 || count > 15 || offsets[0] !== 64) return null;
  const ascends = offsets.slice(1, count).every((offset, n) => offset >= offsets[n]);
  return ascends && offsets.slice(count).every((spare) => spare === 0) ? "RLE" : null;
}

/** Whether an item (kind 0x00) or the end of the sequence (0xdd) begins here. */
function isMark(value: Uint8Array, at: number, kind: number): boolean {
  const [a, b, c, d] = value.subarray(at, at + 4);
  return a === 0xfe && b === 0xff && c === kind && d === 0xe0;
}

/** Items after the offset table, without empty ones. */
function fragments(value: Uint8Array, tags: Tags): Uint8Array[] {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const items: Uint8Array[] = [];
  let at = 0;
  while (at + 8 <= value.length && isMark(value, at, 0x00)) {
    const length = view.getUint32(at + 4, true);
    items.push(value.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  if (!isMark(value, at, 0xdd)) {
    tags.caution("sequence_unfinished", "the end marker of the pixel data is missing");
  }
  // The first item is the offset table; some writers leave it out.
  const hasTable = items.length > 0 && codecOf(items[0]) === null;
  const found = items.slice(hasTable ? 1 : 0).filter((item) => item.length);
  if (!found.length) throw tags.unusable("PixelData", "is encapsulated but has no fragment");
  return found;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
