/** Sizes and ends of JPEG, JPEG-LS and JPEG 2000 streams, as `mammolens.images.decoders.jpeg`. */

import { Refusal } from "../types";

const FRAMES = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xf7]);
const OTHER_FRAMES = new Set([0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);
const MAX_SCANS = 200;

export interface StreamSize {
  readonly rows: number;
  readonly cols: number;
  readonly components: number;
  /** Marker of the kind of frame; 0x51 for JPEG 2000. */
  readonly frame: number;
  readonly bits: number;
}

export function startsCodestream(data: Uint8Array): boolean {
  return data[0] === 0xff && data[1] === 0x4f && data[2] === 0xff && data[3] === 0x51;
}

export function damaged(message: string, source: string, keyword?: string): Refusal {
  const at = { source, remedy: "Copy or export it again" };
  return new Refusal("NotAnImage", message, keyword ? { ...at, keyword } : at);
}

export function streamSize(data: Uint8Array, source: string): StreamSize {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (startsCodestream(data)) {
    if (data.length - 4 < 39) throw damaged("the JPEG 2000 stream ends in its header", source);
    const [width, height, left, top] = [8, 12, 16, 20].map((at) => view.getUint32(at));
    return {
      rows: height - top,
      cols: width - left,
      components: view.getUint16(40),
      frame: 0x51,
      bits: (data[42] & 0x7f) + 1,
    };
  }
  let at = 2;
  while (data[0] === 0xff && data[1] === 0xd8 && at + 10 <= data.length) {
    if (data[at] !== 0xff) break;
    const marker = data[at + 1];
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (FRAMES.has(marker)) {
      return {
        rows: view.getUint16(at + 5),
        cols: view.getUint16(at + 7),
        components: data[at + 9],
        frame: marker,
        bits: data[at + 4],
      };
    }
    if (OTHER_FRAMES.has(marker)) {
      const hex = marker.toString(16).toUpperCase().padStart(2, "0");
      throw new Refusal("UnsupportedImage", `the JPEG process FF${hex} is not read`, {
        source,
        remedy: "Convert it to baseline or lossless JPEG, or send it uncompressed",
      });
    }
    at += 2 + view.getUint16(at + 2);
  }
  throw damaged("the compressed picture has no frame header", source);
}

/** How the first scan of a lossless JPEG is coded (ITU-T T.81, B.2.3 and B.2.4.4). */
export function losslessScan(
  data: Uint8Array,
  source: string,
): { readonly predictor: number; readonly pointTransform: number; readonly restarts: boolean } {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let restarts = false;
  let at = 2;
  while (at + 6 <= data.length && data[at] === 0xff) {
    const marker = data[at + 1];
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const end = at + 2 + view.getUint16(at + 2);
    if (marker === 0xdd) restarts = view.getUint16(at + 4) > 0;
    if (marker === 0xda && end <= data.length) {
      return { predictor: data[end - 3], pointTransform: data[end - 1] & 15, restarts };
    }
    at = end;
  }
  throw damaged("the compressed picture has no scan", source);
}

/** The JPEG 2000 code stream of a JP2 file. */
export function codestream(data: Uint8Array, source: string): Uint8Array {
  let at = 0;
  while (!startsCodestream(data)) {
    if (at + 16 > data.length) throw damaged("the JP2 file has no code stream", source);
    const view = new DataView(data.buffer, data.byteOffset + at, data.length - at);
    let length = view.getUint32(0);
    const kind = String.fromCharCode(...data.subarray(at + 4, at + 8));
    let start = 8;
    if (length === 1) {
      length = Number(view.getBigUint64(8));
      start = 16;
    }
    if (kind === "jp2c") return data.subarray(at + start, length ? at + length : undefined);
    if (length < start || at + length >= data.length) {
      throw damaged("the JP2 file has no code stream", source);
    }
    at += length;
  }
  return data;
}

/** Position of the end marker; only padding may follow it. */
export function checkedEnd(data: Uint8Array, source: string): number {
  let end = data.length;
  while (end > 0 && (data[end - 1] === 0 || data[end - 1] === 0xff)) end--;
  if (end < 2 || data[end - 1] !== 0xd9 || data[end - 2] !== 0xff) {
    const text = "the compressed picture is truncated: its end marker is missing";
    throw damaged(text, source);
  }
  return end - 2;
}

/** @throws Refusal if there are more scans than an honest picture has */
export function checkScans(data: Uint8Array, source: string): void {
  let scans = 0;
  for (let i = 0; i + 1 < data.length; i++) if (data[i] === 0xff && data[i + 1] === 0xda) scans++;
  if (scans <= MAX_SCANS) return;
  throw new Refusal("UnsupportedImage", `the JPEG has more than ${MAX_SCANS} scans`, {
    source,
    remedy: "Export it again",
  });
}

/**
 * Checks that the tile parts of a JPEG 2000 stream are as long as they say and end at its end marker:
 * the decoder fills what is missing without an error.
 */
export function checkTileParts(data: Uint8Array, source: string): void {
  const end = checkedEnd(data, source);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 2;
  while (at + 4 <= end && data[at] === 0xff && data[at + 1] !== 0x90)
    at += 2 + view.getUint16(at + 2);
  while (at + 12 <= end && data[at] === 0xff && data[at + 1] === 0x90) {
    const length = view.getUint32(at + 6);
    if (length === 0) return;
    at += Math.max(length, 12);
  }
  if (at !== end) {
    throw damaged("the compressed picture is damaged: its parts have other lengths", source);
  }
}
