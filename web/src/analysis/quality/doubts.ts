/**
 * The doubts of the verdict at the door, as `mammolens.quality.verdict`. Criteria that are only
 * reported are not judged on the device; those that withhold `low` are all here. Clipping is a
 * doubt of `picture/trust.ts`.
 */

import type { PreparedView, PreprocessConfig } from "../picture/prepare";
import { prepare } from "../picture/prepare";
import { type Caution, doubt, type Mammogram } from "../types";
import { frameOf } from "./frame";
import { textureOf, uprightCrop } from "./texture";

const CONFIG: PreprocessConfig = {
  height: 640,
  width: 352,
  low_percentile: 1,
  high_percentile: 99.5,
  version: 1,
};
const LEAST_SHARPNESS = -1.7;
const MOST_DIRECTION = 0.75;
const FEWEST_ROWS = 320;
const UNEVEN = 1.5;
const [DARKEST, LIGHTEST] = [0.085, 0.85];
const LEAST_CONTRAST = 0.08;
const MOST_CUT = 0.3;

export function qualityDoubts(
  mammogram: Mammogram,
  given: PreparedView,
  config: PreprocessConfig,
): Caution[] {
  const { height, width, low_percentile, high_percentile } = config;
  const isPlain =
    height === CONFIG.height &&
    width === CONFIG.width &&
    low_percentile === CONFIG.low_percentile &&
    high_percentile === CONFIG.high_percentile;
  const view = isPlain ? given : prepare(mammogram, CONFIG);
  const frame = frameOf(view.overview);
  if (frame === null) return [doubt("quality_kind", "no whole breast was found in the picture")];
  const found: Caution[] = [];
  const texture = textureOf(view);
  if (texture === null) {
    // Extreme blur leaves no detail to measure, so what is not known here is a doubt.
    const text = "the breast shows too little detail to judge its sharpness";
    found.push(doubt("quality_sharpness", text));
  }
  if (texture !== null && texture.sharpness < LEAST_SHARPNESS) {
    const text = "the picture is blurred: fine detail is weaker than in almost all mammograms";
    found.push(doubt("quality_sharpness", text));
  }
  if (texture !== null && hasSquarePixels(view) && texture.direction > MOST_DIRECTION) {
    const text = "the breast moved: fine detail is lost along one direction";
    found.push(doubt("quality_motion", text));
  }
  const exposure = exposureFault(frame.median, frame.contrast);
  if (exposure !== null) found.push(doubt("quality_exposure", exposure));
  if (frame.cutFar > MOST_CUT) {
    const text = "tissue is cut off at the side of the nipple: the outline is straight there";
    found.push(doubt("quality_cut_off", text));
  }
  return found;
}

/** Motion is judged only on enough pixels that are about as high as wide. */
function hasSquarePixels(view: PreparedView): boolean {
  const [rows, cols] = uprightCrop(view);
  if (rows < FEWEST_ROWS) return false;
  const down = view.geometry.scaledShape[0] / rows;
  const across = view.geometry.scaledShape[1] / cols;
  return Math.max(down / across, across / down) <= UNEVEN;
}

function exposureFault(median: number, contrast: number): string | null {
  if (median < DARKEST) return "the breast is too dark";
  if (median > LIGHTEST) return "the breast is too light";
  return contrast < LEAST_CONTRAST ? "the breast has too little contrast" : null;
}
