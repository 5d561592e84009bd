/** Finds the breast in a thumbnail, as `mammolens.preprocess.breast`. */

import { rint } from "../numbers";
import {
  type Bytes,
  boundsOf,
  cut,
  dilate,
  ellipse,
  erode,
  median3,
  otsu,
  partsOf,
} from "./arrays";
import { fillConvex, hullOf } from "./hull";

const ALMOST_WHITE = Math.fround(0.97);
const ALMOST_BLACK = Math.fround(0.03);
const INVERTED_SHARE = 0.15;
const INVERTED_RATIO = 4;
const OPENING_RADIUS = 0.012;
const SMALLEST_SHARE = 0.01;
const SATURATED = 235;
const BROAD_BORDER = 0.15;
const BROAD_SATURATED = 0.6;
const THIN_BORDER = 0.025;
const THIN_SATURATED = 0.3;
const BORDER_DEPTH = 0.01;
const BORDER_ENDS = 0.5;
const AIR_PEAK = 0.6;
const AIR_TO_OTSU = 0.18;
const ABOVE_AIR = 4;

/** A reduced picture of greys 0–1. */
export interface Thumbnail {
  readonly grey: Float32Array;
  readonly h: number;
  readonly w: number;
}

export interface BreastRegion {
  readonly mask: Bytes;
  readonly box: readonly [row0: number, col0: number, row1: number, col1: number];
  readonly chestWallRight: boolean;
}

/** Whether a picture shows a dark breast on a bright background. */
export function looksInverted(grey: Float32Array): boolean {
  let [bright, dark] = [0, 0];
  for (const value of grey) {
    if (value > ALMOST_WHITE) bright++;
    if (value < ALMOST_BLACK) dark++;
  }
  return bright / grey.length > INVERTED_SHARE && bright > INVERTED_RATIO * dark;
}

/** @param version of the preparation: 2 does not take a white muscle for a border of the film */
export function findBreast({ grey, h, w }: Thumbnail, version = 1): BreastRegion | null {
  const bytes = new Uint8Array(grey.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.fround(grey[i] * 255);
  const picture = median3(bytes, h, w);
  const inside = insideFilm(picture, h, w, version);
  const level = airLevel(picture, inside);
  const foreground = picture.map((v, i) => Number(v > level && inside[i] !== 0));
  const disc = ellipse(Math.max(2, rint(OPENING_RADIUS * Math.max(h, w))));
  const opened = dilate(erode(foreground, h, w, disc), h, w, disc);
  const { labels, areas } = partsOf(opened, h, w, 1);
  if (areas.length < 2) return null;
  let best = 1;
  for (let n = 2; n < areas.length; n++) if (areas[n] > areas[best]) best = n;
  if (areas[best] < SMALLEST_SHARE * grey.length) return null;
  const largest = Uint8Array.from(labels, (label) => Number(label === best));
  const closed = erode(dilate(largest, h, w, disc), h, w, disc);
  const holes = partsOf(closed, h, w, 0);
  const mask = closed.map((v, i) =>
    Number((v !== 0 || !holes.atEdge[holes.labels[i]]) && inside[i] !== 0),
  );
  const box = boundsOf(mask, h, w);
  if (box === null) throw new Error("the breast lies outside the film");
  return { mask, box, chestWallRight: leanToRight(mask, w, box) > 0 };
}

/** How much taller the breast is at the right edge of its box than at the left. */
function leanToRight(mask: Bytes, w: number, [r0, c0, r1, c1]: BreastRegion["box"]): number {
  const extent = Array.from({ length: c1 - c0 }, (_, x) => {
    let sum = 0;
    for (let y = r0; y < r1; y++) sum += mask[y * w + c0 + x];
    return sum / (r1 - r0);
  });
  const tenth = Math.max(1, Math.floor(extent.length / 10));
  return mean(extent.slice(-tenth)) - mean(extent.slice(0, tenth));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** How far the hull of the breast fills its box along each edge: top, bottom, left, right. */
export function edgeFills(
  region: BreastRegion,
  w: number,
): readonly [top: number, bottom: number, left: number, right: number] {
  const [r0, c0, r1, c1] = region.box;
  const [height, width] = [r1 - r0, c1 - c0];
  const hull = fillConvex(hullOf(cut(region.mask, w, region.box), height, width), height, width);
  const rows = Math.max(1, Math.floor(height / 10));
  const cols = Math.max(1, Math.floor(width / 10));
  const share = (y0: number, x0: number, y1: number, x1: number) => {
    let sum = 0;
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += hull[y * width + x];
    return sum / ((y1 - y0) * (x1 - x0));
  };
  return [
    share(0, 0, rows, width),
    share(height - rows, 0, height, width),
    share(0, 0, height, cols),
    share(0, width - cols, height, width),
  ];
}

/** Without white film borders: outer rows and columns that are mostly saturated. */
function insideFilm(picture: Bytes, h: number, w: number, version: number): Bytes {
  const rows = new Float64Array(h);
  const cols = new Float64Array(w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      if (picture[y * w + x] <= SATURATED) continue;
      rows[y]++;
      cols[x]++;
    }
  }
  const [y0, y1] = within(rows, w, version);
  const [x0, x1] = within(cols, h, version);
  const inside = new Uint8Array(h * w);
  for (let y = y0; y < y1; y++) if (x1 > x0) inside.fill(1, y * w + x0, y * w + x1);
  return inside;
}

function within(counts: Float64Array, length: number, version: number): [number, number] {
  const shares = counts.map((count) => count / length);
  const widthOf = version === 1 ? borderWidth : sharpBorderWidth;
  const end = shares.length - widthOf(shares.slice().reverse());
  return [widthOf(shares), end];
}

/** As `borderWidth`; 0 if the white does not end at once, as that of a muscle. */
function sharpBorderWidth(share: Float64Array): number {
  const width = borderWidth(share);
  const deeper = share[width + rint(BORDER_DEPTH * share.length)];
  if (width === 0 || deeper === undefined) return width;
  return deeper < BORDER_ENDS * Math.max(...share.subarray(0, width)) ? width : 0;
}

function borderWidth(share: Float64Array): number {
  const broad = rint(BROAD_BORDER * share.length);
  const thin = rint(THIN_BORDER * share.length);
  let width = 0;
  for (let i = 0; i < broad; i++) if (share[i] > BROAD_SATURATED) width = Math.max(width, i + 2);
  for (let i = 0; i < thin; i++) if (share[i] > THIN_SATURATED) width = Math.max(width, i + 2);
  return width;
}

/** Grey level between air and breast: just above the air's peak, far below Otsu's. */
function airLevel(picture: Bytes, inside: Bytes): number {
  const counts = new Float64Array(256);
  let total = 0;
  for (let i = 0; i < picture.length; i++) {
    if (!inside[i]) continue;
    counts[picture[i]]++;
    total++;
  }
  const level = otsu(counts, total);
  const darkest = Math.max(level, 1) + 1;
  const limit = Math.max(Math.floor(AIR_PEAK * darkest), 1);
  let air = 0;
  for (let v = 1; v < limit; v++) if (counts[v] > counts[air]) air = v;
  return air + Math.max(ABOVE_AIR, AIR_TO_OTSU * (level - air));
}
