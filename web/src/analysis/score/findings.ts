/** Strong places of a malignancy map as boxes in source pixels, as `mammolens.analysis.findings`. */

import { rint } from "../numbers";
import { boundsOf, partsOf } from "../picture/arrays";
import { boxToSource } from "../picture/geometry";
import type { PreparedView } from "../picture/prepare";
import { nearest, resizeCrop } from "../picture/resize";
import type { Box, Finding } from "../types";
import type { ModelMap } from "./session";

const CORE_SHARE = 0.6;
const FINER = 9;
const MOST = 4;

export function locate(view: PreparedView, map: ModelMap, level: number): Finding[] {
  if (!(Math.max(...map.data) >= level)) return [];
  const [rows, cols] = [FINER * map.rows, FINER * map.cols];
  const fine = resizeCrop(map, [0, 0, map.rows, map.cols], rows, cols).data;
  const [height, width] = view.geometry.preparedShape;
  const inside = nearest(view.mask, height, width, rows, cols);
  const left = Float32Array.from(fine, (v, i) => (inside[i] ? v : 0));
  const found: Finding[] = [];
  while (found.length < MOST) {
    let seed = 0;
    for (let i = 1; i < left.length; i++) if (left[i] > left[seed]) seed = i;
    const peak = left[seed];
    if (!(peak >= level)) break;
    const core = Math.fround(CORE_SHARE * peak);
    const { labels } = partsOf(
      Uint8Array.from(left, (v) => Number(v >= core)),
      rows,
      cols,
      1,
    );
    const own = Uint8Array.from(labels, (label) => Number(label === labels[seed]));
    const bounds = boundsOf(own, rows, cols);
    if (bounds === null) break;
    const [r0, c0, r1, c1] = bounds;
    const [tall, wide] = [height / rows, width / cols];
    const box = boxToSource(view.geometry, [r0 * tall, c0 * wide, r1 * tall, c1 * wide]);
    if (box[0] < box[2] && box[1] < box[3]) {
      const rounded = box.map((side) => rint(side * 100) / 100) as unknown as Box;
      found.push({ box: rounded, score: peak / level });
    }
    for (let y = Math.max(0, r0 - FINER); y < Math.min(rows, r1 + FINER); y++) {
      left.fill(0, y * cols + Math.max(0, c0 - FINER), y * cols + Math.min(cols, c1 + FINER));
    }
  }
  return found;
}
