/**
 * A DICOM film → the same film as JPEG-LS without loss, if that is smaller.
 *
 * The new file is decoded again, and its pixels are compared with those of the original by digest,
 * before it may take its place. Whatever is not as expected leaves the original as it is.
 */

import { decodeStream, encodeJpegLs, type LoadCodec } from "../analysis/pixels/codecs";
import { decodeRle } from "../analysis/pixels/rle";
import { streamSize } from "../analysis/pixels/streams";
import { Refusal } from "../analysis/types";
import type { Recompressed, Why } from "./outcome";
import { frameOf, type Layout, layoutOf, withFrame } from "./part10";

/**
 * Of the decoded picture: 5,800 x 5,800 pixels of 16 bits. File, picture, stream and the decoder's
 * copies take about five times as much, which a phone gives to a page.
 */
const MAX_PICTURE_BYTES = 64 << 20;
/** PS3.5 section A.4.3: lossless JPEG-LS. */
export const JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80";
const NATIVE = "1.2.840.10008.1.2.1";
const RLE = "1.2.840.10008.1.2.5";
const LOSSLESS_JPEG = ["1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"];
const LOSSLESS_FRAME = 0xc3;
const SOURCE = "film";

interface Form {
  readonly rows: number;
  readonly cols: number;
  readonly sampleBytes: 1 | 2;
  readonly bits: number;
}

export async function recompress(bytes: Uint8Array, load: LoadCodec): Promise<Recompressed> {
  const layout = layoutOf(bytes);
  if (layout === null) return left("odd");
  const form = formOf(bytes, layout);
  if (form === null) return left("odd");
  if (form.rows * form.cols * form.sampleBytes > MAX_PICTURE_BYTES) return left("large");
  try {
    const pixels = await pixelsOf(bytes, layout, form, load);
    if (pixels === null) return left(isKnown(layout.syntax) ? "odd" : "compressed");
    if (largest(pixels, form) >= 2 ** form.bits) return left("odd");
    const before = await digestOf(pixels);
    const stream = await encodeJpegLs(pixels, form, load);
    const made = withFrame(bytes, layout, JPEG_LS_LOSSLESS, stream);
    if (made.length >= bytes.length) return left("not_smaller");
    const again = await decodedAgain(made, form, load);
    if (again === null || (await digestOf(again)) !== before) return left("changed");
    return { kind: "smaller", bytes: made, digest: before };
  } catch (error) {
    // A damaged picture is for the server to name; a decoder that has no memory is no fault of it.
    return left(error instanceof Refusal ? "odd" : "failed");
  }
}

const left = (why: Why): Recompressed => ({ kind: "left", why });
const isKnown = (syntax: string) => [NATIVE, RLE, ...LOSSLESS_JPEG].includes(syntax);

/** How the film is stored; null if it is none, or its values may not be plain numbers. */
function formOf(bytes: Uint8Array, { elements }: Layout): Form | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (tag: number) => {
    const place = elements.get(tag);
    return place?.vr === "US" && place.end - place.value === 2
      ? view.getUint16(place.value, true)
      : null;
  };
  const text = (tag: number) => {
    const place = elements.get(tag);
    return place && String.fromCharCode(...bytes.subarray(place.value, place.end)).trim();
  };
  const [rows, cols] = [number(0x00280010), number(0x00280011)];
  const [allocated, bits, high] = [0x00280100, 0x00280101, 0x00280102].map(number);
  const isGrey = /^MONOCHROME[12]$/.test(text(0x00280004) ?? "") && number(0x00280002) === 1;
  const frames = text(0x00280008) ?? "1";
  // Signatures sign the stored bytes, offset tables belong to another frame.
  const isBound = [0xfffafffa, 0x7fe00001, 0x7fe00008, 0x7fe00009].some((tag) => elements.has(tag));
  if (!rows || !cols || !isGrey || frames !== "1" || isBound) return null;
  if (number(0x00280103) !== 0 || bits === null || high !== bits - 1) return null;
  if (allocated === 8 && bits >= 2 && bits <= 8) return { rows, cols, sampleBytes: 1, bits };
  // Fewer than nine bits would be coded as bytes, and come back as such.
  if (allocated === 16 && bits > 8 && bits <= 16) return { rows, cols, sampleBytes: 2, bits };
  return null;
}

/** The stored pixels, little endian; null if their form is not one of those above. */
async function pixelsOf(
  bytes: Uint8Array,
  layout: Layout,
  form: Form,
  load: LoadCodec,
): Promise<Uint8Array | null> {
  const { pixels, syntax } = layout;
  const count = form.rows * form.cols;
  const size = count * form.sampleBytes;
  if (syntax === NATIVE) {
    if (pixels.isOpenEnded || pixels.end - pixels.value !== size + (size % 2)) return null;
    return bytes.subarray(pixels.value, pixels.value + size);
  }
  if (!isKnown(syntax) || !pixels.isOpenEnded) return null;
  const frame = frameOf(bytes, pixels);
  if (frame === null) return null;
  if (syntax === RLE) return decodeRle(frame, count, form.sampleBytes, SOURCE);
  if (streamSize(frame, SOURCE).frame !== LOSSLESS_FRAME) return null;
  return fitting(await decodeStream("JPEG", frame, SOURCE, load), form);
}

/** Decodes the frame of the file that was made, as the server will find it. */
async function decodedAgain(
  made: Uint8Array,
  form: Form,
  load: LoadCodec,
): Promise<Uint8Array | null> {
  const layout = layoutOf(made);
  const frame = layout?.syntax === JPEG_LS_LOSSLESS ? frameOf(made, layout.pixels) : null;
  return frame && fitting(await decodeStream("JPEG-LS", frame, SOURCE, load), form);
}

function fitting(
  { data, rows, cols, samples }: Awaited<ReturnType<typeof decodeStream>>,
  form: Form,
): Uint8Array | null {
  const isSame = rows === form.rows && cols === form.cols && samples === 1;
  if (!isSame || data.BYTES_PER_ELEMENT !== form.sampleBytes) return null;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function largest(pixels: Uint8Array, { sampleBytes }: Form): number {
  let most = 0;
  // The high byte decides between two words; an odd place rules out a view of words.
  for (let i = 0; i < pixels.length; i += sampleBytes) {
    const value = sampleBytes === 1 ? pixels[i] : pixels[i] | (pixels[i + 1] << 8);
    if (value > most) most = value;
  }
  return most;
}

async function digestOf(pixels: Uint8Array): Promise<string> {
  const bytes = pixels as Uint8Array<ArrayBuffer>;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
