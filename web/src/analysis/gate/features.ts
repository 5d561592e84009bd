/** Measurements of the input gate, as `mammolens.quality.features`. */

import { rint } from "../numbers";
import { type Bytes, boundsOf, dilate, erode, mirrored, partsOf, square } from "../picture/arrays";
import { fillConvex, hullOf } from "../picture/hull";
import type { Overview } from "../picture/prepare";
import { nearest, resizeCrop } from "../picture/resize";
import { spreadOf } from "./filters";
import { layout } from "./layout";
import { outline } from "./outline";
import { count, mean, reached, texture } from "./texture";

type Measures = Record<string, number>;

const SIDE_PX = 192;
const LEAST_AIR = 0.002;

/** A reduced picture; chest wall at the left. */
export interface Scene {
  readonly grey: Bytes;
  readonly inside: Bytes;
  readonly off: Bytes;
  readonly h: number;
  readonly w: number;
  readonly air: number;
  readonly tissue: number;
  readonly box: readonly [number, number, number, number];
}

export function measure(overview: Overview): Measures {
  const scene = sceneOf(overview);
  return {
    ...outline(scene),
    ...position(scene),
    ...surroundings(scene),
    ...greys(scene),
    ...texture(scene.grey, scene.inside, scene.h, scene.w),
    ...layout(scene),
  };
}

function sceneOf(overview: Overview): Scene {
  const factor = Math.min(1, SIDE_PX / Math.max(overview.h, overview.w));
  const h = Math.max(16, rint(overview.h * factor));
  const w = Math.max(16, rint(overview.w * factor));
  const plane = { data: overview.grey, rows: overview.h, cols: overview.w };
  const crop = [0, 0, overview.h, overview.w] as const;
  let grey = resizeCrop(plane, crop, h, w, "area").data as Uint8Array;
  let inside = nearest(overview.mask, overview.h, overview.w, h, w);
  if (!inside.includes(1)) inside.fill(1);
  if (overview.chestWallRight) [grey, inside] = [mirrored(grey, w), mirrored(inside, w)];
  inside = withBaysFilled(grey, inside, h, w);
  const borders = bordersOf(grey, inside, h, w);
  const around = dilate(inside, h, w, square(9));
  const off = around.map((v, i) => Number(!v && !borders[i]));
  const tissue = median(grey, inside);
  const air = count(off) / off.length >= LEAST_AIR ? median(grey, off) : 0;
  const box = boundsOf(inside, h, w);
  if (box === null) throw new Error("the breast's mask is empty");
  return { grey, inside, off, h, w, air, tissue, box };
}

/** Adds bays of the mask that are brighter than air: dark fat can be missed there. */
function withBaysFilled(grey: Bytes, inside: Bytes, h: number, w: number): Bytes {
  const outside = inside.map((v) => 1 - v);
  if (count(outside) < LEAST_AIR * grey.length) return inside;
  const hull = fillConvex(hullOf(inside, h, w), h, w);
  const limit = Math.trunc(median(grey, outside)) + 6;
  return inside.map((v, i) => Number(v !== 0 || (hull[i] !== 0 && grey[i] > limit)));
}

function histogram(grey: Bytes, mask: Bytes): number[] {
  const counts = new Array<number>(256).fill(0);
  for (let i = 0; i < grey.length; i++) if (mask[i]) counts[grey[i]]++;
  return counts;
}

function median(grey: Bytes, mask: Bytes): number {
  return reached(histogram(grey, mask), [0.5])[0];
}

/** White borders of a scanned film: rows and columns off the breast, over 35 % white. */
function bordersOf(grey: Bytes, inside: Bytes, h: number, w: number): Bytes {
  const borders = new Uint8Array(h * w);
  const rows = new Int32Array(h);
  const cols = new Int32Array(w);
  const rowHas = new Uint8Array(h);
  const colHas = new Uint8Array(w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      if (grey[y * w + x] > 247) {
        rows[y]++;
        cols[x]++;
      }
      if (inside[y * w + x]) rowHas[y] = colHas[x] = 1;
    }
  }
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const column = cols[x] > 0.35 * h && !colHas[x];
      const row = rows[y] > 0.35 * w && !rowHas[y];
      if (column || row) borders[y * w + x] = 1;
    }
  }
  return borders.includes(1) ? dilate(borders, h, w, square(9)) : borders;
}

type Test = (at: number) => boolean;

/** Share of the rows (or columns) from..to that have a true pixel between two columns (rows). */
function rowsWith(test: Test, w: number, y0: number, y1: number, x0: number, x1: number): number {
  let n = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      if (test(y * w + x)) {
        n++;
        break;
      }
    }
  }
  return n / (y1 - y0);
}

function colsWith(test: Test, w: number, y0: number, y1: number, x0: number, x1: number): number {
  let n = 0;
  for (let x = x0; x < x1; x++) {
    for (let y = y0; y < y1; y++) {
      if (test(y * w + x)) {
        n++;
        break;
      }
    }
  }
  return n / (x1 - x0);
}

/** Position of the breast in the picture, and which edges it or a bright area touches. */
function position({ grey, inside, off, h, w, air, tissue, box }: Scene): Measures {
  const isIn: Test = (i) => inside[i] !== 0;
  const limit = air + Math.max(6, 0.1 * (tissue - air));
  const isLit: Test = (i) => off[i] !== 0 && grey[i] > limit;
  const isTissue: Test = (i) => grey[i] > air + 4 || inside[i] !== 0;
  const ends = [colsWith(isIn, w, 0, 2, 0, w), colsWith(isIn, w, h - 2, h, 0, w)];
  const [r0, c0, r1, c1] = box;
  const strip = Math.max(2, rint(0.05 * (c1 - c0)));
  return {
    area: count(inside) / inside.length,
    box_height: (r1 - r0) / h,
    left_edge: rowsWith(isIn, w, 0, h, 0, 2),
    left_gap: c0 / w,
    right_reach: Math.min(w - c1, 20) / 20,
    right_edge: rowsWith(isIn, w, 0, h, w - 2, w),
    edge_more: Math.max(...ends),
    edge_less: Math.min(...ends),
    left_filled: rowsWith(isTissue, w, r0, r1, c0, Math.min(c0 + strip, c1)),
    right_filled: rowsWith(isTissue, w, r0, r1, Math.max(c1 - strip, c0), c1),
    left_lit: rowsWith(isLit, w, 0, h, 0, 3),
    right_lit: rowsWith(isLit, w, 0, h, w - 3, w),
    ends_lit: colsWith(isLit, w, 0, 3, 0, w) + colsWith(isLit, w, h - 3, h, 0, w),
  };
}

const SURROUNDINGS = [
  "air",
  "bright_outside",
  "bright_of_outside",
  "islands",
  "second",
  "second_all",
  "second_dim",
  "air_noise",
  "air_spread",
];

/** What lies beside the breast: dark even air, or words, a second breast, a bright ground. */
function surroundings({ grey, inside, off, h, w, air, tissue }: Scene): Measures {
  const outside = count(off);
  if (outside < LEAST_AIR * grey.length) {
    return Object.fromEntries(SURROUNDINGS.map((name) => [name, 0]));
  }
  const step = tissue - air;
  const size = count(inside);
  const [low, high] = reached(histogram(grey, off), [0.1, 0.9]);
  const above = (limit: number) => off.map((v, i) => Number(v !== 0 && grey[i] > limit));
  const bright = above(air + Math.max(10, 0.2 * step));
  const large = broadAreas(bright, h, w);
  const dim = broadAreas(above(air + Math.max(6, 0.08 * step)), h, w);
  const islands = partsOf(bright, h, w, 1, 8).areas.slice(1);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const lit = count(bright);
  const values = [
    air / 255,
    lit / bright.length,
    lit / outside,
    Math.log1p(islands.filter((area) => area > 2).length),
    Math.max(0, ...large) / size,
    sum(large) / size,
    Math.max(0, ...dim) / size,
    spreadOf(grey, off) / 255,
    (high - low) / 255,
  ];
  return Object.fromEntries(SURROUNDINGS.map((name, n) => [name, values[n]]));
}

/** Areas of the parts that are at least five pixels wide. */
function broadAreas(mask: Bytes, h: number, w: number): number[] {
  const opened = dilate(erode(mask, h, w, square(5)), h, w, square(5));
  return partsOf(opened, h, w, 1).areas.slice(1);
}

/** The breast's histogram, and the step of grey across its outline. */
function greys({ grey, inside, h, w, air, tissue }: Scene): Measures {
  const size = count(inside);
  const counts = histogram(grey, inside);
  const share = counts.map((n) => n / size);
  const [p01, p99] = reached(counts, [0.01, 0.99]);
  const core = erode(inside, h, w, square(7));
  const wider = dilate(inside, h, w, square(7));
  const rim = Array.from(grey).filter((_, i) => inside[i] && !core[i]);
  const around = Array.from(grey).filter((_, i) => wider[i] && !inside[i]);
  const step =
    rim.length && around.length ? (mean(rim) - mean(around)) / Math.max(p99 - p01, 1) : 0;
  let entropy = 0;
  for (const part of share) if (part > 0) entropy -= part * Math.log2(part);
  let mode = 0;
  for (let v = 0; v < 256; v++) {
    let sum = 0;
    for (let k = -2; k <= 2; k++) sum += share[v + k] ?? 0;
    mode = Math.max(mode, sum);
  }
  const sum = (parts: readonly number[]) => parts.reduce((a, b) => a + b, 0);
  return {
    entropy,
    mode_share: mode,
    white: sum(share.slice(250)),
    black: sum(share.slice(0, 6)),
    levels: Math.log(share.filter((part) => part > 0.0005).length + 1),
    span: (p99 - p01) / 255,
    contrast: (tissue - air) / 255,
    step,
  };
}
