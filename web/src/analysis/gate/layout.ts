/** Symmetry of the picture and of the breast, and dark valleys between its parts. */

import { type Bytes, cut, median3, mirrored } from "../picture/arrays";
import { resizeCrop } from "../picture/resize";
import type { Scene } from "./features";
import { mean } from "./texture";

const SIDE = 32;
const EPS = 1e-6;

export function layout({ grey, inside, h, w, box }: Scene): Record<string, number> {
  const small = miniature(grey, h, w);
  const alone = cut(
    grey.map((v, i) => (inside[i] ? v : 0)),
    w,
    box,
  );
  const own = miniature(alone, box[2] - box[0], box[3] - box[1]);
  const across = profile(small, true);
  const down = profile(small, false);
  const border = Array.from(small).filter((_, i) => {
    return i < SIDE || i >= SIDE * (SIDE - 1);
  });
  for (let y = 0; y < SIDE; y++) border.push(small[y * SIDE + SIDE - 1]);
  const columns = (from: number, to: number) =>
    mean(Array.from(small).filter((_, i) => i % SIDE >= from && i % SIDE < to));
  return {
    mirror_across: agreement(small, mirrored(small, SIDE)),
    mirror_down: agreement(small, upsideDown(small)),
    own_across: agreement(own, mirrored(own, SIDE)),
    own_down: agreement(own, upsideDown(own)),
    centre_down: centre(down),
    lobes_across: valley(across),
    lobes_down: valley(down),
    far_side: columns(24, SIDE) / (columns(0, 8) + 1),
    plain: plain(small),
    own_plain: plain(own),
    frame: mean(border) / 255,
  };
}

/** Reduced to 32 × 32; a median filter removes small markers. */
function miniature(grey: Bytes, h: number, w: number): Bytes {
  const small = resizeCrop({ data: grey, rows: h, cols: w }, [0, 0, h, w], SIDE, SIDE, "area");
  return median3(small.data as Uint8Array, SIDE, SIDE);
}

function upsideDown(picture: Bytes): Bytes {
  const out = new Uint8Array(picture.length);
  for (let y = 0; y < SIDE; y++) {
    out.set(picture.subarray(y * SIDE, (y + 1) * SIDE), (SIDE - 1 - y) * SIDE);
  }
  return out;
}

function profile(picture: Bytes, across: boolean): Float64Array {
  const sums = new Float64Array(SIDE);
  for (let i = 0; i < picture.length; i++) {
    sums[across ? i % SIDE : Math.floor(i / SIDE)] += picture[i] / SIDE;
  }
  return sums;
}

/** Correlation of two pictures, −1 to 1. */
function agreement(one: Bytes, other: Bytes): number {
  const [a, b] = [mean(one), mean(other)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    ab += (one[i] - a) * (other[i] - b);
    aa += (one[i] - a) ** 2;
    bb += (other[i] - b) ** 2;
  }
  return ab / (Math.sqrt(aa * bb) + EPS);
}

/** Centre of mass of a brightness profile: −1 at its start, 1 at its end. */
function centre(values: Float64Array): number {
  const low = Math.min(...values);
  let [moment, weight] = [0, 0];
  for (let n = 0; n < SIDE; n++) {
    moment += (values[n] - low) * (-1 + (2 * n) / (SIDE - 1));
    weight += values[n] - low;
  }
  return moment / (weight + EPS);
}

/** Depth of the deepest valley between two peaks, as a share of the range. */
function valley(values: Float64Array): number {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const right = values.slice();
  for (let n = SIDE - 2; n >= 0; n--) right[n] = Math.max(right[n], right[n + 1]);
  let [left, deepest] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let n = 0; n < SIDE; n++) {
    left = Math.max(left, values[n]);
    deepest = Math.max(deepest, Math.min(left, right[n]) - values[n]);
  }
  return deepest / (high - low + EPS);
}

/** What remains after a quadratic surface is fitted; low for blank pictures. */
function plain(picture: Bytes): number {
  const average = mean(picture);
  const values = Float64Array.from(picture, (v) => v - average);
  const rest = values.slice();
  for (const term of SURFACES) {
    let share = 0;
    for (let i = 0; i < rest.length; i++) share += term[i] * values[i];
    for (let i = 0; i < rest.length; i++) rest[i] -= share * term[i];
  }
  return Math.log(deviation(rest) / (deviation(values) + 0.5) + 1e-2);
}

function deviation(values: Float64Array): number {
  const average = mean(values);
  let squares = 0;
  for (const value of values) squares += (value - average) ** 2;
  return Math.sqrt(squares / values.length);
}

/** Orthonormal basis of the polynomials of degree 2 on the grid. */
const SURFACES: readonly Float64Array[] = (() => {
  const place = (n: number) => -1 + (2 * n) / (SIDE - 1);
  const terms: ((y: number, x: number) => number)[] = [
    () => 1,
    (y) => y,
    (_, x) => x,
    (y, x) => y * x,
    (y) => y * y,
    (_, x) => x * x,
  ];
  const base: Float64Array[] = [];
  for (const term of terms) {
    const values = Float64Array.from({ length: SIDE * SIDE }, (_, i) =>
      term(place(Math.floor(i / SIDE)), place(i % SIDE)),
    );
    // Twice, so that rounding leaves nothing of the earlier terms.
    for (const earlier of [...base, ...base]) {
      let share = 0;
      for (let i = 0; i < values.length; i++) share += earlier[i] * values[i];
      for (let i = 0; i < values.length; i++) values[i] -= share * earlier[i];
    }
    const length = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
    base.push(values.map((v) => v / length));
  }
  return base;
})();
