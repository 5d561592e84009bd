/** How smooth some rows of a picture are, read in one way or another. */

import { extent } from "../numbers";
import type { Plane } from "../types";

type Words = Uint8Array | Uint16Array | Int8Array | Int16Array;

/** Some rows of a picture as whole numbers. */
export interface Rows {
  readonly data: Int32Array;
  readonly rows: number;
  readonly cols: number;
}

export const PROVEN = 0.75;
export const FEWEST_PLACES = 16;
const NEAR = 1 / 8;
const TORN_BY_CUTTING = 1.05;
const CALMER = 0.8;
const NOISE = 0.2;

/** Copies rows of a picture, from column `from` up to `to`. */
export function pick(
  plane: Plane<Words>,
  rows: readonly number[],
  from = 0,
  to = plane.cols,
): Rows {
  const cols = to - from;
  const data = new Int32Array(rows.length * cols);
  rows.forEach((y, n) => {
    data.set(plane.data.subarray(y * plane.cols + from, y * plane.cols + to), n * cols);
  });
  return { data, rows: rows.length, cols };
}

/** Mean difference of neighbours along the rows, divided by the standard deviation. */
export function roughness({ data, rows, cols }: Rows): number {
  let sum = 0;
  for (const v of data) sum += v;
  const mean = sum / data.length;
  let squares = 0;
  for (const v of data) squares += (v - mean) ** 2;
  const spread = Math.sqrt(squares / data.length);
  if (!(spread > 0)) return 0;
  let steps = 0;
  for (let y = 0; y < rows; y++) {
    for (let i = y * cols + 1; i < (y + 1) * cols; i++) steps += Math.abs(data[i] - data[i - 1]);
  }
  return steps / (rows * (cols - 1)) / spread;
}

export function swapped(rows: Rows): Rows {
  return { ...rows, data: rows.data.map((v) => ((v & 0xff) << 8) | ((v >> 8) & 0xff)) };
}

/** Neighbours swapped in pairs; the last column of an odd number is unchanged. */
export function exchanged(rows: Rows): Rows {
  const data = rows.data.slice();
  for (let y = 0; y < rows.rows; y++) {
    for (let x = 0; x + 1 < rows.cols; x += 2) {
      const at = y * rows.cols + x;
      data[at] = rows.data[at + 1];
      data[at + 1] = rows.data[at];
    }
  }
  return { ...rows, data };
}

export function exchangedAll<T extends Words>(plane: Plane<T>): Plane<T> {
  const data = plane.data.slice() as T;
  for (let i = 0; i + 1 < data.length; i += 2) {
    data[i] = plane.data[i + 1];
    data[i + 1] = plane.data[i];
  }
  return { ...plane, data };
}

/** Mean differences at odd and even places, and of each row. */
export function compared({ data, rows, cols }: Rows): {
  odd: number;
  even: number;
  lines: number[];
} {
  const sums = [0, 0];
  const lines: number[] = [];
  for (let y = 0; y < rows; y++) {
    let line = 0;
    for (let x = 0; x + 1 < cols; x++) {
      const step = Math.abs(data[y * cols + x + 1] - data[y * cols + x]);
      sums[x % 2] += step;
      line += step;
    }
    lines.push(line / (cols - 1));
  }
  const odd = sums[1] / (rows * Math.floor((cols - 1) / 2));
  return { odd, even: sums[0] / (rows * Math.floor(cols / 2)), lines };
}

/** The lowest `bits` of each word as a signed or unsigned number. */
export function readWords(rows: Rows, bits: number, signed: boolean): Rows {
  const limit = 2 ** bits - 1;
  const sign = signed ? 2 ** (bits - 1) : Number.POSITIVE_INFINITY;
  const data = rows.data.map((v) => {
    const value = v & limit;
    return value >= sign ? value - limit - 1 : value;
  });
  return { ...rows, data };
}

/** Share of the places that support the other sign, and number of all places. */
export function wraps(rows: Rows, bits: number): [share: number, places: number] {
  const { data, cols } = rows;
  const [low, high] = extent(data);
  const range = 2 ** bits;
  const border = low >= 0 ? range / 2 : 0;
  if (high < border || low >= border) return [0, 0];
  let other = 0;
  let header = 0;
  for (let i = 1; i < data.length; i++) {
    if (i % cols === 0) continue;
    const [a, b] = [data[i - 1], data[i]];
    if (a >= border === b >= border) continue;
    if (!(a > low && a < high && b > low && b < high)) continue;
    const step = Math.abs(b - a);
    if (range - step < range * NEAR) other++;
    if (step < range * NEAR) header++;
  }
  return share(other, header);
}

function share(other: number, header: number): [number, number] {
  const places = other + header;
  return [places ? other / places : 0, places];
}

/** Sum of the differences of neighbours, without the extreme values of `rows`. */
export function total(values: Rows, rows: Rows): number {
  const [low, high] = extent(rows.data);
  let sum = 0;
  for (let i = 1; i < rows.data.length; i++) {
    if (i % rows.cols && inner(rows.data, i, low, high)) {
      sum += Math.abs(values.data[i] - values.data[i - 1]);
    }
  }
  return sum;
}

function inner(data: Int32Array, i: number, low: number, high: number): boolean {
  return data[i - 1] > low && data[i - 1] < high && data[i] > low && data[i] < high;
}

/** Whether values are smooth with all their bits, and rough without the upper ones. */
export function isWhole(stated: Rows, whole: Rows, rows: Rows, bits: number): boolean {
  const ratio = total(stated, rows) / Math.max(total(whole, rows), 1);
  if (ratio >= TORN_BY_CUTTING) return true;
  // Greys have the steps 1, 2 and 3 in the upper bits. An overlay has one bit; noise is rough.
  const steps = new Set(rows.data.map((v) => v >> bits));
  const all = [1, 2, 3].every((step) => steps.has(step));
  if (ratio > NOISE && all && extent(whole.data)[0] >= 0) return true;
  const near = 2 ** bits * NEAR;
  const far = 2 ** (bits - 1);
  const [low, high] = extent(rows.data);
  let forAll = 0;
  let forStated = 0;
  for (let i = 1; i < rows.data.length; i++) {
    if (i % rows.cols === 0 || !inner(rows.data, i, low, high)) continue;
    const a = Math.abs(stated.data[i] - stated.data[i - 1]);
    const b = Math.abs(whole.data[i] - whole.data[i - 1]);
    const lit = Math.min(stated.data[i], stated.data[i - 1]) > near;
    if (b < near && a > far) forAll++;
    if (a < near && b > far && lit) forStated++;
  }
  const [part, places] = share(forAll, forStated);
  return ratio > CALMER && part >= PROVEN && places >= FEWEST_PLACES;
}
