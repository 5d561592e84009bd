/**
 * How an image of this device is shown: as unsigned 16-bit pixels with the way back to the values of
 * the modality, a window for the breast, and a preview. The pixels are decoded again when they are
 * needed, so that no more than one film is in memory.
 */

import { type DeviceFile, readImage } from "./exams/files";
import { extent } from "./numbers";
import type { LoadCodec } from "./pixels/codecs";
import type { Plane } from "./types";

/** Stored value × slope + intercept = value of the modality. */
export interface Stored {
  readonly slope: number;
  readonly intercept: number;
}

export interface Look extends Stored {
  readonly rows: number;
  readonly cols: number;
  /** Smallest and largest value of the modality, and a window that shows tissue. */
  readonly extent: readonly [low: number, high: number];
  readonly tissue: readonly [low: number, high: number];
  readonly preview: Blob;
  readonly previewRows: number;
  readonly previewCols: number;
}

export interface RawPicture {
  /** Unsigned 16-bit little-endian, row by row. */
  readonly data: ArrayBuffer;
}

const WHITE = 65535;
const PREVIEW = 900;
/** Some 50,000 pixels tell as much about a grey scale as all of them. */
const SAMPLES = 50_000;
/** Shares of the tissue that may be black and white. */
const DARKEST = 0.02;
const BRIGHTEST = 0.995;

export async function lookAt(file: DeviceFile, load: LoadCodec): Promise<Look> {
  const { pixels, photometric } = await readImage(await file.bytes(), file.name, load);
  const range = extent(pixels.data);
  const tissue = tissueWindow(pixels, photometric === "MONOCHROME1");
  const factor = Math.max(1, Math.ceil(Math.max(pixels.rows, pixels.cols) / PREVIEW));
  const small = reducedPicture(pixels, factor);
  const [low, high] = photometric === "MONOCHROME1" ? [tissue[1], tissue[0]] : tissue;
  const preview = await pictureBlob(small, low, high);
  return {
    ...storedAs(pixels, range),
    rows: pixels.rows,
    cols: pixels.cols,
    extent: range,
    tissue,
    preview,
    previewRows: small.rows,
    previewCols: small.cols,
  };
}

export async function rawPicture(file: DeviceFile, load: LoadCodec): Promise<RawPicture> {
  const { pixels } = await readImage(await file.bytes(), file.name, load);
  const { slope, intercept } = storedAs(pixels, extent(pixels.data));
  const { data } = pixels;
  const out = new Uint16Array(data.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.round((data[i] - intercept) / slope);
  return { data: out.buffer };
}

/** Integers that fit stay as they are but for a shift; other values are spread over 16 bits. */
export function storedAs(
  { data }: Plane,
  [low, high]: readonly [low: number, high: number],
): Stored {
  const intercept = Math.min(0, low);
  if (!(data instanceof Float32Array) && high - intercept <= WHITE) return { slope: 1, intercept };
  return { slope: Math.max(high - low, 1e-12) / WHITE, intercept: low };
}

/** What lies outside the breast is the darkest grey of a mammogram, and is not looked at. */
export function tissueWindow(
  { data }: Plane,
  isInverse: boolean,
): readonly [low: number, high: number] {
  const step = Math.max(1, Math.floor(data.length / SAMPLES));
  const values: number[] = [];
  for (let i = step >> 1; i < data.length; i += step) values.push(isInverse ? -data[i] : data[i]);
  values.sort((a, b) => a - b);
  const [darkest, brightest] = [values[0], values[values.length - 1]];
  const background = darkest + 0.04 * (brightest - darkest);
  const tissue = values.filter((value) => value > background);
  if (tissue.length < 100) return extent(data) as [number, number];
  const at = (share: number) =>
    tissue[Math.min(Math.floor(share * tissue.length), tissue.length - 1)];
  const ends = [at(DARKEST), Math.max(at(BRIGHTEST), at(DARKEST) + 1)] as const;
  return isInverse ? [-ends[1], -ends[0]] : ends;
}

/** Means over squares of pixels. */
export function reducedPicture({ data, rows, cols }: Plane, factor: number): Plane<Float32Array> {
  const [tall, wide] = [
    Math.max(1, Math.floor(rows / factor)),
    Math.max(1, Math.floor(cols / factor)),
  ];
  const out = new Float32Array(tall * wide);
  for (let y = 0; y < tall; y++) {
    for (let dy = 0; dy < factor; dy++) {
      const line = Math.min(y * factor + dy, rows - 1) * cols;
      for (let x = 0; x < wide; x++) {
        let sum = 0;
        for (let dx = 0; dx < factor; dx++) sum += data[line + Math.min(x * factor + dx, cols - 1)];
        out[y * wide + x] += sum;
      }
    }
  }
  for (let i = 0; i < out.length; i++) out[i] /= factor * factor;
  return { data: out, rows: tall, cols: wide };
}

async function pictureBlob(
  plane: Plane<Float32Array>,
  black: number,
  white: number,
): Promise<Blob> {
  const { data, rows, cols } = plane;
  const image = new ImageData(cols, rows);
  const range = white - black || 1;
  for (let i = 0; i < data.length; i++) {
    const grey = (255 * (data[i] - black)) / range;
    image.data.fill(grey, 4 * i, 4 * i + 3);
    image.data[4 * i + 3] = 255;
  }
  const canvas = new OffscreenCanvas(cols, rows);
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("this browser draws no picture in a worker");
  context.putImageData(image, 0, 0);
  return await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
}
