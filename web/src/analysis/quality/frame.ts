/** Exposure and cut-off tissue, as `mammolens.quality.frame`. */

import { mirrored } from "../picture/arrays";
import { findBreast } from "../picture/breast";
import type { Overview } from "../picture/prepare";

/** Version of the masks that the verdict uses, whatever the model's card says. */
const VERSION = 2;
const TISSUE = 0.35;

export interface Frame {
  /** Greys 0–1. */
  readonly median: number;
  readonly contrast: number;
  readonly cutFar: number;
}

export function frameOf({ grey: given, h, w }: Overview): Frame | null {
  const thumbnail = Float32Array.from(given, (v) => Math.fround(v / 255));
  const region = findBreast({ grey: thumbnail, h, w }, VERSION);
  if (region === null) return null;
  const right = region.chestWallRight;
  const grey = right ? mirrored(given, w) : given;
  const mask = right ? mirrored(region.mask, w) : region.mask;
  const [r0, left, r1, end] = region.box;
  const [c0, c1] = right ? [w - end, w - left] : [left, end];
  const counts = new Float64Array(256);
  for (let i = 0; i < mask.length; i++) if (mask[i]) counts[grey[i]]++;
  const greyAt = greysOf(counts);
  const median = greyAt(0.5);
  const last = Array.from({ length: r1 - r0 }, (_, y) => {
    let x = c1 - 1;
    while (x >= c0 && !mask[(r0 + y) * w + x]) x--;
    return x - c0;
  });
  const farthest = Math.max(...last);
  const straight = last.filter((x, y) => {
    const edge = grey[(r0 + y) * w + c0 + Math.max(x - 2, 0)];
    return x >= farthest - 1 && edge > TISSUE * median;
  }).length;
  return {
    median: median / 255,
    contrast: (greyAt(0.95) - greyAt(0.05)) / 255,
    cutFar: straight / last.length,
  };
}

/** The smallest grey up to which a share of the counted pixels lies. */
function greysOf(counts: Float64Array): (share: number) => number {
  let sum = 0;
  const sums = counts.map((count) => {
    sum += count;
    return sum;
  });
  return (share) => sums.findIndex((value) => value >= share * sum);
}
