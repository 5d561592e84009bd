/** One frame as it came over the line → a plane of stored values. */

import { decodeHtj2k, type ModuleLoader } from "./htj2k";
import type { FramePart } from "./multipart";
import { type PixelForm, type Plane, readRaw } from "./raw";
import { decodeRle } from "./rle";

/** Transfer syntaxes that are read (PS3.6 annex A). Any other is refused by name. */
export const SYNTAX = {
  implicitLittleEndian: "1.2.840.10008.1.2",
  explicitLittleEndian: "1.2.840.10008.1.2.1",
  rle: "1.2.840.10008.1.2.5",
  htj2kLossless: "1.2.840.10008.1.2.4.201",
  htj2kLosslessRpcl: "1.2.840.10008.1.2.4.202",
} as const;

/** The Accept header for frames: the stored RLE or HTJ2K, else raw. */
export const ACCEPT_FRAMES = [
  `multipart/related; type="image/dicom-rle"; transfer-syntax=${SYNTAX.rle}`,
  `multipart/related; type="image/jphc"; transfer-syntax=${SYNTAX.htj2kLossless};q=0.9`,
  `multipart/related; type="application/octet-stream"; transfer-syntax=${SYNTAX.explicitLittleEndian};q=0.5`,
].join(", ");

/** The Accept header for a slow line: the smallest lossless form first. */
export const ACCEPT_SMALL_FRAMES = [
  `multipart/related; type="image/jphc"; transfer-syntax=${SYNTAX.htj2kLossless}`,
  `multipart/related; type="image/dicom-rle"; transfer-syntax=${SYNTAX.rle};q=0.9`,
  `multipart/related; type="application/octet-stream"; transfer-syntax=${SYNTAX.explicitLittleEndian};q=0.5`,
].join(", ");

/**
 * Decodes one frame.
 *
 * @throws if the transfer syntax is not one of `SYNTAX`, or the bytes do not make the picture
 */
export async function decodeFrame(
  part: FramePart,
  form: PixelForm,
  loadHtj2k?: ModuleLoader,
): Promise<Plane> {
  switch (part.transferSyntax) {
    case SYNTAX.rle: {
      const bytesPerPixel = form.bitsAllocated === 8 ? 1 : 2;
      return readRaw(decodeRle(part.bytes, form.rows * form.columns, bytesPerPixel), form);
    }
    case SYNTAX.htj2kLossless:
    case SYNTAX.htj2kLosslessRpcl:
      return readRaw(await decodeHtj2k(part.bytes, form, loadHtj2k), form);
    case SYNTAX.implicitLittleEndian:
    case SYNTAX.explicitLittleEndian:
    case null:
      return readRaw(part.bytes, form);
    default:
      throw new Error(`Frames in the transfer syntax ${part.transferSyntax} are not read here`);
  }
}
