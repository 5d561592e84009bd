/** Grey values: VOI, inversion, padding, stretching; all in float32, as `mammolens...grey`. */

import { extent, percentiles, rint } from "../numbers";
import type { Numbers, Photometric, Voi } from "../types";

/** What turns modality values into greys. */
export interface GreyForm {
  readonly voi: Voi | null;
  readonly photometric: Photometric;
  readonly padding: readonly [number, number] | null;
}

const { fround } = Math;
const WHITE = 65535;

/** Greys 0–1, breast brighter than the background if the header is right. */
export function toGrey(pixels: Numbers, form: GreyForm): Float32Array {
  const values = applyVoi(pixels, form.voi);
  if (form.photometric === "MONOCHROME1") {
    for (let i = 0; i < values.length; i++) values[i] = 1 - values[i];
  }
  if (form.padding !== null) {
    const [low, high] = form.padding;
    for (let i = 0; i < values.length; i++) {
      if (pixels[i] >= low && pixels[i] <= high) values[i] = 0;
    }
  }
  return values;
}

/** `null` stretches the smallest value to 0 and the largest to 1. */
export function applyVoi(pixels: Numbers, voi: Voi | null): Float32Array {
  const out = new Float32Array(pixels.length);
  if (voi === null) {
    const [low, high] = extent(pixels);
    const range = fround(Math.max(high - low, 1e-12));
    for (let i = 0; i < out.length; i++) out[i] = fround(pixels[i] - low) / range;
  } else if (voi.kind === "table") {
    const [low, high] = extent(voi.values);
    const range = fround(Math.max(high - low, 1e-12));
    const last = voi.values.length - 1;
    for (let i = 0; i < out.length; i++) {
      const index = Math.min(Math.max(rint(pixels[i]) - voi.first, 0), last);
      out[i] = fround(voi.values[index] - low) / range;
    }
  } else if (voi.function === "SIGMOID") {
    const [center, width] = [fround(voi.center), fround(voi.width)];
    for (let i = 0; i < out.length; i++) {
      const exponent = fround(fround(-4 * fround(pixels[i] - center)) / width);
      out[i] = 1 / fround(1 + fround(Math.exp(Math.min(Math.max(exponent, -80), 80))));
    }
  } else {
    const linear = voi.function === "LINEAR";
    const center = fround(linear ? voi.center - 0.5 : voi.center);
    const width = fround(linear ? Math.max(voi.width - 1, 1e-6) : voi.width);
    for (let i = 0; i < out.length; i++) {
      const value = fround(fround(fround(pixels[i] - center) / width) + 0.5);
      out[i] = value < 0 ? 0 : Math.min(value, 1);
    }
  }
  return out;
}

/** Stretches between two percentiles of the breast to 0–65535; zero outside the mask. */
export function normalise(
  grey: Float32Array,
  mask: Uint8Array,
  lowPercentile: number,
  highPercentile: number,
): Uint16Array {
  const inside = grey.filter((_, i) => mask[i] !== 0);
  const [low, high] = percentiles(inside, [lowPercentile, highPercentile]);
  const scale = WHITE / Math.max(high - low, 1e-12);
  const out = new Uint16Array(grey.length);
  for (let i = 0; i < out.length; i++) {
    if (mask[i]) out[i] = Math.min(Math.max((grey[i] - low) * scale, 0), WHITE);
  }
  return out;
}

export function opposite(photometric: Photometric): Photometric {
  return photometric === "MONOCHROME1" ? "MONOCHROME2" : "MONOCHROME1";
}
