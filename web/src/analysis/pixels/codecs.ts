/**
 * Compressed streams → samples, by decoders that are loaded when they are needed; and JPEG-LS back.
 *
 * Not read on the device, and refused by name: JPEG of 12 bits (no decoder for browsers under a
 * permissive licence), and the rare forms of lossless JPEG that the decoder would read wrongly.
 */

import type { Codec } from "../dicom/syntaxes";
import { Refusal } from "../types";
import type { Samples } from "./content";
import {
  checkedEnd,
  checkScans,
  checkTileParts,
  damaged,
  losslessScan,
  type StreamSize,
  streamSize,
} from "./streams";

interface FrameInfo {
  width: number;
  height: number;
  bitsPerSample: number;
  componentCount: number;
  isSigned?: boolean;
}

interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): FrameInfo;
  delete(): void;
}

interface JpegLsEncoder {
  getDecodedBuffer(info: FrameInfo): Uint8Array;
  setNearLossless(most: number): void;
  encode(): void;
  getEncodedBuffer(): Uint8Array;
  delete(): void;
}

/** jpeg-lossless-decoder-js, as far as it is used. */
interface LosslessDecoder {
  decode(buffer: ArrayBufferLike, offset: number, length: number): Uint8Array | Uint16Array;
  readonly xLoc: number;
  readonly yLoc: number;
}

type Module = Readonly<Record<string, new () => unknown>>;
export type CodecName = "charls" | "lossless" | "openjpeg" | "openjph" | "turbo";
/** Gives the module of a decoder; a browser and Node load them differently. */
export type LoadCodec = (name: CodecName) => Promise<unknown>;

const CLASSES: Readonly<Record<CodecName, string>> = {
  charls: "JpegLSDecoder",
  lossless: "Decoder",
  openjpeg: "J2KDecoder",
  openjph: "HTJ2KDecoder",
  turbo: "JPEGDecoder",
};
/** Only JPEG 2000 has signed values; the other decoders leave the field undefined, or at random. */
const SIGNED: readonly CodecName[] = ["openjpeg", "openjph"];
const BASELINE = new Set([0xc0, 0xc1, 0xc2]);
const PROGRESSIVE = 0xc2;
const LOSSLESS = 0xc3;
const FILLER = Uint8Array.from({ length: 64 }, (_, i) => (37 * i + 11) % 251);

/** Decodes a stream whose size was checked. */
export async function decodeStream(
  codec: Codec,
  stream: Uint8Array,
  source: string,
  load: LoadCodec,
): Promise<Samples> {
  switch (codec) {
    case "JPEG":
      return await decodeJpeg(stream, source, load);
    case "JPEG-LS":
      checkedEnd(stream, source);
      return await decodeWith("charls", stream, source, load);
    case "JPEG 2000":
      checkTileParts(stream, source);
      return await decodeWith(
        isHighThroughput(stream) ? "openjph" : "openjpeg",
        stream,
        source,
        load,
      );
    default:
      throw new Error(`${codec} is not a compressed stream`);
  }
}

/** @throws Refusal for the processes that are not read on the device */
export async function decodeJpeg(
  data: Uint8Array,
  source: string,
  load: LoadCodec,
): Promise<Samples> {
  const end = checkedEnd(data, source);
  checkScans(data, source);
  const size = streamSize(data, source);
  if (size.frame === LOSSLESS) return await decodeLossless(data, size, source, load);
  if (!BASELINE.has(size.frame) || size.bits !== 8) {
    throw notHere(`JPEG of ${size.bits} bits`, source);
  }
  const picture = await decodeWith("turbo", data, source, load);
  if (size.frame === PROGRESSIVE || looksFilled(picture)) {
    // A complete picture does not change if more data follow its last block.
    const longer = new Uint8Array(end + FILLER.length + 2);
    longer.set(data.subarray(0, end));
    longer.set(FILLER, end);
    longer.set([0xff, 0xd9], end + FILLER.length);
    const again = await decodeWith("turbo", longer, source, load);
    if (!picture.data.every((v, i) => v === again.data[i])) {
      throw damaged("the JPEG data ends before the picture does", source);
    }
  }
  return picture;
}

function notHere(kind: string, source: string): Refusal {
  return new Refusal("UnsupportedImage", `${kind} is not read on this device`, {
    source,
    keyword: "TransferSyntaxUID",
    remedy: "Send the file to the server, or export it uncompressed, as RLE or JPEG-LS",
  });
}

/** Lossless JPEG (process 14, ITU-T T.81 annex H) of one component. */
async function decodeLossless(
  data: Uint8Array,
  size: StreamSize,
  source: string,
  load: LoadCodec,
): Promise<Samples> {
  const scan = losslessScan(data, source);
  // The decoder leaves out the point transform, predicts over a restart from the line above, and
  // halves negative sums of predictor 7 to the wrong side, which only 16 bits can reach.
  const isMisread =
    scan.pointTransform !== 0 ||
    (scan.restarts && scan.predictor !== 1) ||
    (scan.predictor === 7 && size.bits === 16);
  if (size.components !== 1 || isMisread || size.bits > 16) {
    throw notHere("this form of lossless JPEG", source);
  }
  const module = await loadedOnce("lossless", source, load);
  const decoder = new module[CLASSES.lossless]() as LosslessDecoder;
  let values: Uint8Array | Uint16Array;
  try {
    values = decoder.decode(data.buffer, data.byteOffset, data.byteLength);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw damaged(`the compressed picture cannot be decoded (${why})`, source);
  }
  if (decoder.yLoc < size.rows || values.length !== size.rows * size.cols) {
    throw damaged("the JPEG data ends before the picture does", source);
  }
  return { data: values, rows: size.rows, cols: size.cols, samples: 1 };
}

/** Whether the decoder may have filled the last block: a constant block or a repeated row. */
function looksFilled({ data, rows, cols, samples }: Samples): boolean {
  const line = cols * samples;
  let repeated = true;
  for (let i = 0; i < line && repeated; i++) {
    repeated = data[(rows - 1) * line + i] === data[(rows - 2) * line + i];
  }
  if (repeated) return true;
  const [top, left] = [Math.floor((rows - 1) / 8) * 8, Math.floor((cols - 1) / 8) * 8];
  const at = (y: number, x: number, s: number) => data[(y * cols + x) * samples + s];
  for (let y = top; y < rows; y++) {
    for (let x = left; x < cols; x++) {
      for (let s = 0; s < samples; s++) if (at(y, x, s) !== at(top, left, s)) return false;
    }
  }
  return true;
}

const loaded = new Map<CodecName, Promise<unknown>>();

/** Loads every decoder, so that none is asked for when there is no connection. */
export async function preloadCodecs(load: LoadCodec): Promise<void> {
  await Promise.all((Object.keys(CLASSES) as CodecName[]).map((name) => moduleOf(name, load)));
}

async function moduleOf(name: CodecName, load: LoadCodec): Promise<Module> {
  const pending = loaded.get(name) ?? load(name);
  loaded.set(name, pending);
  try {
    return (await pending) as Module;
  } catch (error) {
    loaded.delete(name);
    throw error;
  }
}

async function loadedOnce(name: CodecName, source: string, load: LoadCodec): Promise<Module> {
  try {
    return await moduleOf(name, load);
  } catch {
    throw new Refusal("UnsupportedImage", `the decoder ${name} cannot be loaded`, {
      source,
      remedy: "Connect the device, open the page again, and repeat the analysis",
    });
  }
}

/**
 * Compresses grey samples as JPEG-LS without loss.
 *
 * @param pixels little endian, one byte a sample up to 8 bits, two above
 */
export async function encodeJpegLs(
  pixels: Uint8Array,
  form: { readonly rows: number; readonly cols: number; readonly bits: number },
  load: LoadCodec,
): Promise<Uint8Array<ArrayBuffer>> {
  const module = await moduleOf("charls", load);
  const encoder = new module.JpegLSEncoder() as JpegLsEncoder;
  try {
    const { rows: height, cols: width, bits: bitsPerSample } = form;
    const info = { width, height, bitsPerSample, componentCount: 1, isSigned: false };
    encoder.getDecodedBuffer(info).set(pixels);
    encoder.setNearLossless(0);
    encoder.encode();
    const view = encoder.getEncodedBuffer();
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
  } finally {
    encoder.delete();
  }
}

async function decodeWith(
  name: CodecName,
  stream: Uint8Array,
  source: string,
  load: LoadCodec,
): Promise<Samples> {
  const module = await loadedOnce(name, source, load);
  const decoder = new module[CLASSES[name]]() as Decoder;
  try {
    decoder.getEncodedBuffer(stream.length).set(stream);
    decoder.decode();
    const info = decoder.getFrameInfo();
    const view = decoder.getDecodedBuffer();
    // Some builds give clamped or signed views.
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
    const count = info.width * info.height * info.componentCount;
    const wide = info.bitsPerSample > 8;
    if (info.bitsPerSample > 16 || bytes.length < count * (wide ? 2 : 1)) {
      throw new Error("the decoder gave another size");
    }
    return {
      data: numbersOf(bytes, count, wide, SIGNED.includes(name) && info.isSigned === true),
      rows: info.height,
      cols: info.width,
      samples: info.componentCount,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw damaged(`the compressed picture cannot be decoded (${why})`, source);
  } finally {
    decoder.delete();
  }
}

function numbersOf(
  bytes: Uint8Array<ArrayBuffer>,
  count: number,
  wide: boolean,
  signed: boolean,
): Samples["data"] {
  if (!wide) {
    if (!signed) return bytes.subarray(0, count);
    return new Int8Array(bytes.buffer, 0, count);
  }
  return signed ? new Int16Array(bytes.buffer, 0, count) : new Uint16Array(bytes.buffer, 0, count);
}

/** Whether a code stream has the marker of Part 15 (CAP) in its main header. */
function isHighThroughput(stream: Uint8Array): boolean {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  let at = 2;
  while (at + 4 <= stream.length && stream[at] === 0xff && stream[at + 1] !== 0x90) {
    if (stream[at + 1] === 0x50) return true;
    at += 2 + view.getUint16(at + 2);
  }
  return false;
}
