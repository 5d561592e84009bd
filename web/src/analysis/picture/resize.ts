/** Resizing as `mammolens.preprocess.grey`: by area if the picture shrinks, else bilinearly. */

import { rint } from "../numbers";
import type { Numbers, Plane } from "../types";

interface Share {
  readonly first: number;
  readonly weights: Float32Array;
}

type Crop = readonly [row0: number, col0: number, row1: number, col1: number];

/**
 * Resizes the part of a picture within `crop`; whole numbers stay whole.
 *
 * @param growth how it grows if it does: bilinearly, or as OpenCV's INTER_AREA
 */
export function resizeCrop(
  plane: Plane,
  crop: Crop,
  rows: number,
  cols: number,
  growth: "linear" | "area" = "linear",
): Plane {
  const [height, width] = [crop[2] - crop[0], crop[3] - crop[1]];
  const shrinks = rows <= height && cols <= width;
  const table = shrinks ? areaShares : growth === "area" ? areaGrowth : linearShares;
  const small = weighted(plane, crop, table(height, rows), table(width, cols));
  const halved = height === 2 * rows && width === 2 * cols;
  return { ...small, data: asStored(small.data, plane.data, halved) };
}

/** Nearest pixels, as OpenCV's INTER_NEAREST. */
export function nearest(
  picture: Uint8Array,
  h: number,
  w: number,
  rows: number,
  cols: number,
): Uint8Array {
  const out = new Uint8Array(rows * cols);
  for (let y = 0; y < rows; y++) {
    const line = Math.min(Math.floor(y * (h / rows)), h - 1) * w;
    for (let x = 0; x < cols; x++) {
      out[y * cols + x] = picture[line + Math.min(Math.floor(x * (w / cols)), w - 1)];
    }
  }
  return out;
}

function weighted(plane: Plane, crop: Crop, down: Share[], across: Share[]): Plane<Float32Array> {
  const { data, cols: stride } = plane;
  const [rows, cols] = [down.length, across.length];
  const line = new Float32Array(cols);
  const values = new Float32Array(rows * cols);
  for (let y = 0; y < rows; y++) {
    line.fill(0);
    const { first, weights } = down[y];
    for (let j = 0; j < weights.length; j++) {
      const base = (crop[0] + first + j) * stride + crop[1];
      addLine(line, data, base, across, weights[j]);
    }
    values.set(line, y * cols);
  }
  return { data: values, rows, cols };
}

/** Adds one reduced row; written for speed, since it sees every pixel of a film. */
function addLine(
  line: Float32Array,
  data: Numbers,
  base: number,
  across: readonly Share[],
  weight: number,
): void {
  for (let x = 0; x < line.length; x++) {
    const { first, weights } = across[x];
    const at = base + first;
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += data[at + i] * weights[i];
    line[x] += sum * weight;
  }
}

/** Rounds to the type of the source; halves go up where four pixels become one, else to even. */
function asStored(values: Float32Array, source: Numbers, halved: boolean): Numbers {
  if (
    source instanceof Float32Array ||
    source instanceof Int32Array ||
    source instanceof Int8Array
  ) {
    return values;
  }
  const out = new (source.constructor as Uint16ArrayConstructor)(values.length);
  const bits = 8 * source.BYTES_PER_ELEMENT;
  const low = source instanceof Int16Array ? -(2 ** (bits - 1)) : 0;
  const high = low + 2 ** bits - 1;
  for (let i = 0; i < out.length; i++) {
    const value = halved ? Math.floor(values[i] + 0.5) : rint(values[i]);
    out[i] = value < low ? low : Math.min(value, high);
  }
  return out;
}

/** Shares of the source pixels in each pixel, as OpenCV's `computeResizeAreaTab`. */
function areaShares(from: number, to: number): Share[] {
  const scale = from / to;
  return Array.from({ length: to }, (_, d) => {
    const start = d * scale;
    const end = start + scale;
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const inner = Math.min(Math.ceil(start), last);
    const weights: number[] = [];
    if (inner - start > 1e-3) weights.push((inner - start) / cell);
    const first = inner - weights.length;
    for (let x = inner; x < last; x++) weights.push(1 / cell);
    if (end - last > 1e-3) weights.push(Math.min(end - last, 1, cell) / cell);
    return { first, weights: Float32Array.from(weights) };
  });
}

function linearShares(from: number, to: number): Share[] {
  const scale = from / to;
  return Array.from({ length: to }, (_, d) => {
    const place = Math.fround((d + 0.5) * scale - 0.5);
    const below = Math.floor(place);
    if (below < 0) return { first: 0, weights: Float32Array.of(1) };
    if (below >= from - 1) return { first: from - 1, weights: Float32Array.of(1) };
    const part = Math.fround(place - below);
    return { first: below, weights: Float32Array.of(1 - part, part) };
  });
}

function areaGrowth(from: number, to: number): Share[] {
  const scale = from / to;
  return Array.from({ length: to }, (_, d) => {
    const below = Math.floor(d * scale);
    const place = Math.fround(d + 1 - (below + 1) * (to / from));
    const part = place <= 0 ? 0 : Math.fround(place - Math.floor(place));
    if (below >= from - 1) return { first: from - 1, weights: Float32Array.of(1) };
    return { first: below, weights: Float32Array.of(1 - part, part) };
  });
}
