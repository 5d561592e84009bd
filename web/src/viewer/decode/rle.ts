/** DICOM RLE Lossless (PS3.5 annex G): byte planes of PackBits, the most significant first. */

const HEADER_BYTES = 64;

/**
 * Decodes one frame of one sample per pixel.
 *
 * @param bytes the frame's fragment
 * @param pixels rows × columns
 * @param bytesPerPixel 1 or 2
 * @returns the pixels as raw little-endian bytes
 * @throws if the segments do not give exactly that many bytes
 */
export function decodeRle(
  bytes: Uint8Array,
  pixels: number,
  bytesPerPixel: 1 | 2,
): Uint8Array<ArrayBuffer> {
  if (bytes.length < HEADER_BYTES) throw new Error("RLE: the frame is shorter than its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = view.getUint32(0, true);
  if (segments !== bytesPerPixel) {
    throw new Error(`RLE: ${segments} segments where the pixels need ${bytesPerPixel}`);
  }
  const out = new Uint8Array(pixels * bytesPerPixel);
  for (let segment = 0; segment < segments; segment++) {
    const start = view.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < segments ? view.getUint32(8 + 4 * segment, true) : bytes.length;
    if (start < HEADER_BYTES || end < start || end > bytes.length) {
      throw new Error(`RLE: segment ${segment + 1} lies outside the frame`);
    }
    unpack(bytes, start, end, out, segments - 1 - segment, bytesPerPixel, pixels);
  }
  return out;
}

/** Unpacks one segment into every `step`-th byte from `first` on. */
function unpack(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  first: number,
  step: number,
  count: number,
): void {
  let at = start;
  let to = first;
  const stop = first + count * step;
  while (at < end && to < stop) {
    const control = bytes[at++];
    if (control < 128) {
      const last = Math.min(at + control + 1, end);
      for (; at < last && to < stop; to += step) out[to] = bytes[at++];
    } else if (control > 128) {
      const value = bytes[at++];
      const until = Math.min(to + (257 - control) * step, stop);
      for (; to < until; to += step) out[to] = value;
    }
  }
  if (to < stop) {
    throw new Error(`RLE: a segment gives ${(to - first) / step} of ${count} bytes`);
  }
}
