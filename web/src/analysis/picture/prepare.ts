/** A mammogram becomes a model's input, as `mammolens.preprocess.prepare`. */

import { rint } from "../numbers";
import { type Caution, type Mammogram, type Photometric, Refusal, type Voi } from "../types";
import { mirrored } from "./arrays";
import type { BreastRegion } from "./breast";
import { type Geometry, storedTurned } from "./geometry";
import { normalise, toGrey } from "./grey";
import { resizeCrop } from "./resize";
import { trustedPicture } from "./trust";

const MARGIN = 0.015;

/** The part of the card's `preprocess` that is ported; the rest must be off (`score/card.ts`). */
export interface PreprocessConfig {
  readonly height: number;
  readonly width: number;
  readonly low_percentile: number;
  readonly high_percentile: number;
  /** Version of the masks; 1 is that of packages whose card names none. */
  readonly version: 1 | 2;
}

/** The whole reduced picture, for the input gate. */
export interface Overview {
  readonly grey: Uint8Array;
  readonly mask: Uint8Array;
  readonly h: number;
  readonly w: number;
  readonly chestWallRight: boolean;
}

export interface PreparedView {
  readonly pixels: Uint8Array;
  readonly mask: Uint8Array;
  readonly geometry: Geometry;
  readonly photometric: Photometric;
  readonly voi: Voi | null;
  readonly cautions: readonly Caution[];
  readonly overview: Overview;
}

export function prepare(given: Mammogram, config: PreprocessConfig): PreparedView {
  const { mammogram, thumbnail, stride, region, quarterTurns, cautions } = trustedPicture(
    given,
    config.version,
  );
  if (region === null) {
    throw new Refusal("NotAMammogram", "no breast was found in the picture", {
      source: given.ref.path,
      remedy: "Look at the image: it may be blank, a label, or not a mammogram",
    });
  }
  const geometry = geometryOf(mammogram, region, thumbnail, stride, config);
  const { scaledShape } = geometry;
  const { grey, mask } = reduced(mammogram, region, thumbnail, stride, geometry);
  const stretched = normalise(grey, mask, config.low_percentile, config.high_percentile);
  const picture = Uint8Array.from(stretched, (v) => v >> 8);
  const overview = {
    grey: Uint8Array.from(thumbnail.grey, (v) =>
      Math.min(rint(Math.abs(Math.fround(v * 255))), 255),
    ),
    mask: region.mask,
    h: thumbnail.h,
    w: thumbnail.w,
    chestWallRight: region.chestWallRight,
  };
  return {
    pixels: placed(picture, scaledShape, geometry),
    mask: placed(mask, scaledShape, geometry),
    geometry: storedTurned(geometry, quarterTurns),
    photometric: mammogram.photometric,
    voi: mammogram.voi,
    cautions: [...mammogram.cautions, ...cautions],
    overview,
  };
}

/** Crops the breast's box with a margin, scaled to fit the input, at the left and centred. */
function geometryOf(
  { pixels, ref }: Mammogram,
  { box, chestWallRight }: BreastRegion,
  thumbnail: { h: number; w: number },
  stride: number,
  config: PreprocessConfig,
): Geometry {
  const { rows, cols } = pixels;
  const margin = MARGIN * Math.max(thumbnail.h, thumbnail.w);
  const crop = [
    Math.max(0, Math.floor((box[0] - margin) * stride)),
    Math.max(0, Math.floor((box[1] - margin) * stride)),
    Math.min(rows, Math.ceil((box[2] + margin) * stride)),
    Math.min(cols, Math.ceil((box[3] + margin) * stride)),
  ] as const;
  const tall = (crop[2] - crop[0]) * ref.aspect;
  const wide = crop[3] - crop[1];
  const factor = Math.min(config.height / tall, config.width / wide);
  const scaledShape = [
    Math.min(config.height, Math.max(1, rint(tall * factor))),
    Math.min(config.width, Math.max(1, rint(wide * factor))),
  ] as const;
  return {
    sourceShape: [rows, cols],
    crop,
    scaledShape,
    offset: [Math.floor((config.height - scaledShape[0]) / 2), 0],
    preparedShape: [config.height, config.width],
    flipped: chestWallRight,
    quarterTurns: 0,
  };
}

/** Greys and mask of the crop, chest wall at the left. */
function reduced(
  mammogram: Mammogram,
  region: BreastRegion,
  { h, w }: { h: number; w: number },
  stride: number,
  { crop, scaledShape: [rows, cols], flipped }: Geometry,
): { grey: Float32Array; mask: Uint8Array } {
  const small = resizeCrop(mammogram.pixels, crop, rows, cols);
  const grey = toGrey(small.data, mammogram);
  const ys = centres(crop[0], crop[2], rows).map((y) => Math.min(Math.floor(y / stride), h - 1));
  const xs = centres(crop[1], crop[3], cols).map((x) => Math.min(Math.floor(x / stride), w - 1));
  const mask = new Uint8Array(rows * cols);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) mask[y * cols + x] = region.mask[ys[y] * w + xs[x]];
  }
  return flipped ? { grey: mirrored(grey, cols), mask: mirrored(mask, cols) } : { grey, mask };
}

/** Source index of the centre of each of `count` equal parts. */
function centres(start: number, stop: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) =>
    Math.trunc(start + ((n + 0.5) * (stop - start)) / count),
  );
}

function placed(
  picture: Uint8Array,
  [rows, cols]: Geometry["scaledShape"],
  { offset, preparedShape: [height, width] }: Geometry,
): Uint8Array {
  const canvas = new Uint8Array(height * width);
  for (let y = 0; y < rows; y++) {
    canvas.set(picture.subarray(y * cols, (y + 1) * cols), (y + offset[0]) * width + offset[1]);
  }
  return canvas;
}
