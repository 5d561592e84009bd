/** Sharpness and motion of a prepared breast, as `mammolens.quality.sharpness`. */

import { blur, type Field, field, spreadOf } from "../gate/filters";
import { erode, square } from "../picture/arrays";
import type { PreparedView } from "../picture/prepare";
import { resizeCrop } from "../picture/resize";

const RIM_PX = 15;
const FEWEST_PX = 2_000;
/** With less detail, the rounding to whole greys alone would pass for sharpness. */
const LEAST_DETAIL = 1;
const STEPS = [
  [0, 2],
  [-1, 1],
  [2, 0],
  [1, 1],
] as const;

export interface Texture {
  readonly sharpness: number;
  readonly direction: number;
}

/** Null: it shows too little of the breast, or no detail. */
export function textureOf(view: PreparedView): Texture | null {
  const { picture, mask, h, w } = atOwnScale(view);
  const core = erode(mask, h, w, square(RIM_PX));
  if (core.reduce((sum, value) => sum + value, 0) < FEWEST_PX) return null;
  const values = field(picture, h, w);
  const small = blur(values, 3);
  const large = blur(values, 9);
  const broad = spreadOf(difference(small, large), core);
  if (broad < LEAST_DETAIL) return null;
  const fine = spreadOf(difference(values, small), core);
  const energies = STEPS.map((step) => energy(small, core, step));
  const ratios = [0, 1].map((n) => Math.abs(Math.log2(energies[n] / energies[n + 2])));
  return {
    sharpness: Math.log2(Math.max(fine, 1e-3) / broad),
    direction: Math.max(...ratios),
  };
}

function difference(one: Field, other: Field): Float32Array {
  return one.data.map((value, i) => value - other.data[i]);
}

/** Mean absolute second difference in the core along one direction; never zero. */
function energy(
  { data, h, w }: Field,
  core: Uint8Array,
  [down, across]: readonly [number, number],
): number {
  let [sum, n] = [0, 0];
  for (let y = 2; y < h - 2; y++) {
    for (let x = 2; x < w - 2; x++) {
      const i = y * w + x;
      if (!core[i]) continue;
      const step = down * w + across;
      sum += Math.abs(data[i + step] + data[i - step] - 2 * data[i]);
      n++;
    }
  }
  return Math.max(sum / n, 1e-3);
}

/** Rows and columns of the crop as it stands upright. */
export function uprightCrop({ geometry }: PreparedView): readonly [rows: number, cols: number] {
  const [r0, c0, r1, c1] = geometry.crop;
  return geometry.quarterTurns % 2 ? [c1 - c0, r1 - r0] : [r1 - r0, c1 - c0];
}

/** The prepared breast, reduced to the source's pixels where it was enlarged. */
function atOwnScale(view: PreparedView) {
  const { offset, scaledShape, preparedShape } = view.geometry;
  const [height, width] = scaledShape;
  const [rows, cols] = uprightCrop(view);
  const [h, w] = [Math.min(height, rows), Math.min(width, cols)];
  const plane = { data: view.pixels, rows: preparedShape[0], cols: preparedShape[1] };
  const crop = [offset[0], offset[1], offset[0] + height, offset[1] + width] as const;
  const { data } = resizeCrop(plane, crop, h, w);
  const mask = new Uint8Array(h * w);
  for (let y = 0; y < h; y++) {
    const line = (offset[0] + Math.trunc(((y + 0.5) * height) / h)) * preparedShape[1] + offset[1];
    for (let x = 0; x < w; x++) {
      mask[y * w + x] = view.mask[line + Math.trunc(((x + 0.5) * width) / w)];
    }
  }
  return { picture: data, mask, h, w };
}
