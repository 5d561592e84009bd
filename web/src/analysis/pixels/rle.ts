/** DICOM RLE with a check of its segment table; the runs are decoded as in the viewer. */

import { decodeRle as decodeRuns } from "../../viewer/decode/rle";
import { damaged } from "./streams";

const HEADER_BYTES = 64;

/** The pixels as little-endian bytes. */
export function decodeRle(
  frame: Uint8Array,
  pixels: number,
  sampleBytes: 1 | 2,
  source: string,
): Uint8Array<ArrayBuffer> {
  if (frame.length <= HEADER_BYTES) {
    throw damaged("the RLE data ends in its header", source, "PixelData");
  }
  const view = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES);
  const count = view.getUint32(0, true);
  if (count !== sampleBytes) {
    const text = `the RLE data has ${count} segments instead of ${sampleBytes}`;
    throw damaged(text, source, "PixelData");
  }
  const starts = Array.from({ length: count }, (_, n) => view.getUint32(4 + 4 * n, true));
  const bounds = [...starts, frame.length];
  if (bounds[0] !== HEADER_BYTES || bounds.some((at, n) => n > 0 && bounds[n - 1] >= at)) {
    throw damaged("the RLE segment table is impossible", source, "PixelData");
  }
  try {
    return decodeRuns(frame, pixels, sampleBytes);
  } catch {
    throw damaged("the RLE data ends before the picture does", source, "PixelData");
  }
}
