/** The orientation in the Exif block of a JPEG or PNG. */

const EXIF_SEGMENT = 0xe1;
const ORIENTATION = 274;
const QUARTER_TURNS: Readonly<Record<number, number>> = {
  2: 0,
  3: 2,
  4: 2,
  5: 1,
  6: 1,
  7: 3,
  8: 3,
};

/** The Exif block in the segments before the first frame; empty if there is none. */
export function exifOfJpeg(data: Uint8Array): Uint8Array {
  let at = 2;
  while (at + 4 <= data.length && data[at] === 0xff && data[at + 1] >= 0xe0) {
    const length = (data[at + 2] << 8) | data[at + 3];
    const block = data.subarray(at + 4, at + 2 + length);
    if (
      data[at + 1] === EXIF_SEGMENT &&
      String.fromCharCode(...block.subarray(0, 6)) === "Exif\0\0"
    ) {
      return block.subarray(6);
    }
    at += 2 + length;
  }
  return new Uint8Array(0);
}

/** Clockwise quarter turns of the stated orientation; null if none or the usual one is stated. */
export function exifOrientation(block: Uint8Array): number | null {
  const start = String.fromCharCode(...block.subarray(0, 4));
  const little = start === "II*\0";
  if (!little && start !== "MM\0*") return null;
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  try {
    const offset = view.getUint32(4, little);
    const count = view.getUint16(offset, little);
    for (let n = 0; n < count; n++) {
      const at = offset + 2 + 12 * n;
      if (view.getUint16(at, little) !== ORIENTATION) continue;
      const kind = view.getUint16(at + 2, little);
      const value =
        kind === 1
          ? view.getUint8(at + 8)
          : kind === 3
            ? view.getUint16(at + 8, little)
            : view.getUint32(at + 8, little);
      return QUARTER_TURNS[value] ?? null;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return null;
}
