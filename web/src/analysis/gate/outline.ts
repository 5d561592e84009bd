/** Shape of the breast's mask within its bounding box. */

import { type Bytes, cut, partsOf } from "../picture/arrays";
import { convexHull, lineLength, outlineOf, polygonArea } from "../picture/hull";
import type { Scene } from "./features";
import { count, mean } from "./texture";

/** Shape of the mask within its bounding box. */
export function outline({ inside, w: stride, box }: Scene): Record<string, number> {
  const part = cut(inside, stride, box);
  const [tall, wide] = [box[2] - box[0], box[3] - box[1]];
  const at = (y: number, x: number) => part[y * wide + x];
  const first = new Float64Array(tall);
  const last = new Float64Array(tall).fill(1);
  const across = new Float64Array(tall);
  for (let y = 0; y < tall; y++) {
    const row = part.subarray(y * wide, (y + 1) * wide);
    const found = row.indexOf(1);
    if (found >= 0) {
      first[y] = found / wide;
      last[y] = 1 - (wide - 1 - row.lastIndexOf(1)) / wide;
    }
    across[y] = row[0];
    for (let x = 1; x < wide; x++) if (row[x] && !row[x - 1]) across[y]++;
  }
  const top = new Float64Array(wide);
  const bottom = new Float64Array(wide).fill(1);
  const down = new Float64Array(wide);
  for (let x = 0; x < wide; x++) {
    let [low, high] = [-1, -1];
    down[x] = at(0, x);
    for (let y = 0; y < tall; y++) {
      if (!at(y, x)) continue;
      if (low < 0) low = y;
      high = y;
      if (y > 0 && !at(y - 1, x)) down[x]++;
    }
    if (low >= 0) {
      top[x] = low / tall;
      bottom[x] = 1 - (tall - 1 - high) / tall;
    }
  }
  const contour = largestOutline(part, tall, wide);
  const area = count(part);
  const hull = Math.max(polygonArea(convexHull(contour)), area);
  const profile = Float64Array.from({ length: 64 }, (_, n) => {
    const place = (n * (tall - 1)) / 63;
    const below = Math.min(Math.floor(place), tall - 1);
    const next = Math.min(below + 1, tall - 1);
    return last[below] + (last[next] - last[below]) * (place - below);
  });
  const smooth = profile.map((_, n) => {
    let sum = 0;
    for (let k = -4; k <= 4; k++) sum += profile[Math.min(Math.max(n + k, 0), 63)];
    return sum / 9;
  });
  let peak = 0;
  for (let n = 1; n < 64; n++) if (smooth[n] > smooth[peak]) peak = n;
  let back = 0;
  for (let n = 0; n < 63; n++) {
    const rise = smooth[n + 1] - smooth[n];
    back += Math.max(n < peak ? -rise : rise, 0);
  }
  const length = lineLength(contour);
  return {
    aspect: Math.log(tall / wide),
    fill: area / part.length,
    solidity: area / hull,
    left_flat: shareOf(first, (v) => v < 0.04),
    left_rough: mean(first.map((v) => Math.min(v, 0.5))),
    right_flat: shareOf(last, (v) => v > 0.96),
    flat_less: Math.min(
      shareOf(top, (v) => v < 0.04),
      shareOf(bottom, (v) => v > 0.96),
    ),
    roughness: mean(profile.map((v, n) => Math.abs(v - smooth[n]))),
    wavering: back,
    peak_row: Math.abs(peak / 63 - 0.5),
    runs_across: shareOf(across, (v) => v > 1),
    runs_down: shareOf(down, (v) => v > 1),
    crookedness: Math.log(length ** 2 / (4 * Math.PI * area + 1)),
  };
}

function largestOutline(part: Bytes, h: number, w: number): [number, number][] {
  const { labels, areas } = partsOf(part, h, w, 1, 8);
  let best: [number, number][] = [];
  let largest = -1;
  for (let n = 1; n < areas.length; n++) {
    const points = outlineOf(part, h, w, labels.indexOf(n)).map(
      ([x, y]) => [x, y] as [number, number],
    );
    const size = polygonArea(points);
    if (size > largest) [best, largest] = [points, size];
  }
  return best;
}

function shareOf(values: Float64Array, test: (value: number) => boolean): number {
  let n = 0;
  for (const value of values) if (test(value)) n++;
  return n / values.length;
}
