/** Texture within the breast: frequency bands, threads, edges, rings; as `mammolens.quality`. */

import { boundsOf, cut, erode, square } from "../picture/arrays";
import {
  blur,
  distances,
  type Field,
  field,
  gaussianBytes,
  pyramidDown,
  pyramidUp,
  sobelAcross,
  sobelDown,
  spreadOf,
} from "./filters";

type Measures = Record<string, number>;
const EPS = 1e-6;
const ROOM_PX = 13;

export function texture(grey: Uint8Array, inside: Uint8Array, h: number, w: number): Measures {
  let core = erode(inside, h, w, square(7));
  if (count(core) < 64) core = inside;
  const values = field(grey, h, w);
  const scale = Math.max(spreadOf(values.data, core), 1);
  const calm = gaussianBytes(values);
  const across = sobelAcross(calm).data.map(Math.abs);
  const down = sobelDown(calm).data.map(Math.abs);
  const counts: number[] = [];
  let [inner, innerStraight, innerLevel, whole, wholeStraight] = [0, 0, 0, 0, 0];
  for (let i = 0; i < core.length; i++) {
    const strength = Math.max(across[i], down[i]);
    const straight = 25 * Math.min(across[i], down[i]) < 3 * strength ? strength : 0;
    whole += strength;
    wholeStraight += straight;
    if (!core[i]) continue;
    counts[strength] = (counts[strength] ?? 0) + 1;
    inner += strength;
    innerStraight += straight;
    innerLevel += across[i] - down[i];
  }
  const [middle, high] = reached(counts, [0.5, 0.95]);
  return {
    deviation: scale / 255,
    ...bands(values, core, scale),
    ...deep(values, core),
    edges: Math.log(high / scale + 1e-2),
    edge_ratio: Math.log((middle + 1) / (high + 1)),
    upright_inside: innerStraight / (inner + EPS),
    level_inside: innerLevel / (inner + EPS),
    upright_picture: wholeStraight / (whole + EPS),
  };
}

export function count(mask: Uint8Array): number {
  let n = 0;
  for (const value of mask) n += value;
  return n;
}

/** The first indices at which the summed counts reach shares of their total. */
export function reached(counts: readonly number[], shares: readonly number[]): number[] {
  let total = 0;
  for (let v = 0; v < counts.length; v++) total += counts[v] ?? 0;
  return shares.map((share) => {
    let sum = 0;
    for (let v = 0; v < counts.length; v++) {
      sum += counts[v] ?? 0;
      if (sum / total >= share) return v;
    }
    return counts.length;
  });
}

/** Each level of a Laplacian pyramid, relative to the interior's deviation. */
function bands(picture: Field, interior: Uint8Array, scale: number): Measures {
  const result: Measures = {};
  let values = picture;
  let core = interior;
  for (const width of [1, 2, 4, 8, 16]) {
    const smaller = pyramidDown(values);
    const upper = pyramidUp(smaller, values.h, values.w);
    const band = values.data.map((v, i) => v - upper.data[i]);
    const spread = spreadOf(band, core);
    result[`band_${width}`] = Math.log(spread / scale + 1e-3);
    const own = band.filter((_, i) => core[i] !== 0);
    if (width === 2) result.skewed = mean(own.map((v) => (v / (spread + EPS)) ** 3));
    if (width < 4) {
      result[`peaked_${width}`] = Math.log(mean(own.map(Math.abs)) / (spread + EPS) + 1e-3);
    }
    core = everySecond(core, values.h, values.w);
    if (!core.includes(1)) core = core.map(() => 1);
    values = smaller;
  }
  return result;
}

function everySecond(mask: Uint8Array, h: number, w: number): Uint8Array {
  const [rows, cols] = [(h + 1) >> 1, (w + 1) >> 1];
  const out = new Uint8Array(rows * cols);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) out[y * cols + x] = mask[2 * y * w + 2 * x];
  }
  return out;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/** Fine threads far inside the outline, and mean greys of four rings. */
function deep(picture: Field, core: Uint8Array): Measures {
  const { h, w } = picture;
  const depth = depthOf(core, h, w);
  let deepest = 0;
  for (const d of depth) deepest = Math.max(deepest, d);
  const limit = Math.fround(0.3 * deepest);
  let inner: Uint8Array = Uint8Array.from(depth, (d) => Number(d > limit));
  if (count(inner) < 64) inner = core;
  const rings = ringMeans(picture.data, core, depth, deepest);
  const box = windowOf(inner, h, w);
  const [height, width] = [box[2] - box[0], box[3] - box[1]];
  const values = { data: cut(picture.data, w, box), h: height, w: width };
  const place = cut(inner, w, box);
  const [fine, middle, broad] = [3, 9, 25].map((n) => blur(values, n).data);
  const less = (a: Float32Array, b: Float32Array) => a.map((v, i) => v - b[i]);
  const own = spreadOf(values.data, place);
  const local = Math.max(spreadOf(less(values.data, broad), place), 0.3);
  const threads = less(fine, middle);
  const spread = spreadOf(threads, place);
  const unit = threads.filter((_, i) => place[i]).map((v) => v / Math.max(spread, 0.1));
  const [energy, coherence] = directions({ data: fine, h: height, w: width }, place);
  const cubes = mean(unit.map((v) => v ** 3));
  return {
    ...rings,
    deep_deviation: Math.log(own + 0.3),
    deep_local: Math.log(local / Math.max(own, 0.3) + 1e-2),
    deep_fine: Math.log(spreadOf(less(values.data, fine), place) / local + 1e-3),
    deep_threads: Math.log(spread / local + 1e-3),
    deep_skew: Math.min(Math.max(cubes, -5), 5),
    deep_peaked: mean(unit.map(Math.abs)),
    coherence: mean(coherence),
    evenness: Math.log((mean(energy) + 1) / (medianOf(energy) + 1)),
  };
}

/** Depth below the outline; the picture's edge is no outline. */
function depthOf(core: Uint8Array, h: number, w: number): Float32Array {
  const [rows, cols] = [h + 2, w + 2];
  const framed = new Uint8Array(rows * cols);
  for (let y = 0; y < rows; y++) {
    const from = Math.min(Math.max(y - 1, 0), h - 1) * w;
    for (let x = 0; x < cols; x++)
      framed[y * cols + x] = core[from + Math.min(Math.max(x - 1, 0), w - 1)];
  }
  return cut(distances(framed, rows, cols), cols, [1, 1, rows - 1, cols - 1]);
}

function ringMeans(
  values: Float32Array,
  core: Uint8Array,
  depth: Float32Array,
  deepest: number,
): Measures {
  const sums = [0, 0, 0, 0];
  const counts = [0, 0, 0, 0];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < core.length; i++) {
    if (!core[i]) continue;
    const ring = Math.min(Math.trunc((depth[i] / Math.max(deepest, 1)) * 4), 3);
    sums[ring] += values[i];
    counts[ring]++;
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  const means = sums.map(
    (sum, n) => (sum / Math.max(counts[n], 1) - low) / Math.max(high - low, 1),
  );
  return Object.fromEntries(means.map((value, n) => [`ring_${n}`, value]));
}

/** Strength of the edges, and how far they run in one direction. */
function directions(
  fine: Field,
  place: Uint8Array,
): [energy: Float32Array, coherence: Float32Array] {
  const across = sobelAcross(fine).data;
  const down = sobelDown(fine).data;
  const [xx, yy, xy] = [
    across.map((v) => v * v),
    down.map((v) => v * v),
    across.map((v, i) => v * down[i]),
  ].map((data) => blur({ ...fine, data }, 7).data);
  const energy = xx.map((v, i) => v + yy[i]);
  const coherence = energy.map((v, i) => Math.hypot(xx[i] - yy[i], 2 * xy[i]) / (v + EPS));
  return [energy.filter((_, i) => place[i]), coherence.filter((_, i) => place[i])];
}

function medianOf(values: Float32Array): number {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Bounding box of a mask with a margin for the widest filter. */
function windowOf(mask: Uint8Array, h: number, w: number): [number, number, number, number] {
  const box = boundsOf(mask, h, w);
  if (box === null) throw new Error("the breast's interior is empty");
  return [
    Math.max(box[0] - ROOM_PX, 0),
    Math.max(box[1] - ROOM_PX, 0),
    Math.min(box[2] + ROOM_PX, h),
    Math.min(box[3] + ROOM_PX, w),
  ];
}
