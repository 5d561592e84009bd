/**
 * A picture at any size, in 16 bit: averages by area where it shrinks, bilinear where it grows.
 *
 * Nothing between pixels is skipped: each pixel of the screen is the average of all that it covers,
 * so that a small bright speck becomes fainter but never disappears by chance. The greys are those
 * of OpenCV's INTER_AREA and INTER_LINEAR, which `mammolens.preprocess.make_display` uses.
 */

import { type Level, levelFor, type Pyramid } from "./pyramid";

/** Where the picture lies on a screen of `width` × `height` device pixels. */
export interface Placement {
  readonly width: number;
  readonly height: number;
  /** Pixels of the screen per pixel of the picture. */
  readonly scaleX: number;
  readonly scaleY: number;
  /** Where the picture's first pixel begins; may be negative. */
  readonly offsetX: number;
  readonly offsetY: number;
}

/** Part of the screen that the picture covers, half-open. Empty if `x1 <= x0` or `y1 <= y0`. */
export interface Region {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** `exact` averages the picture's own pixels; `moving` averages a level of the pyramid. */
export type Quality = "exact" | "moving";

/**
 * Writes the picture into `out` (`width` × `height`), and says which part of it was written.
 */
export function resample(
  pyramid: Pyramid,
  placement: Placement,
  quality: Quality,
  out: Uint16Array,
): Region {
  const picture = pyramid[0].plane;
  const { scaleX, scaleY } = placement;
  const level: Level =
    quality === "exact" ? pyramid[0] : levelFor(pyramid, Math.max(scaleX, scaleY));
  const across = axis(placement.width, scaleX, placement.offsetX, picture.width, level.cell);
  const down = axis(placement.height, scaleY, placement.offsetY, picture.height, level.cell);
  combine(level.plane.data, level.plane.width, across, down, placement.width, out);
  return { x0: across.from, x1: across.to, y0: down.from, y1: down.to };
}

/** Which cells make up each screen pixel along one axis: `count` of them from `first` on. */
interface Axis {
  readonly from: number;
  readonly to: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `stride` weights for each screen pixel from `from` on. */
  readonly weights: Float64Array;
  readonly stride: number;
}

function axis(size: number, scale: number, offset: number, extent: number, cell: number): Axis {
  const from = Math.max(0, Math.ceil(offset - 1e-6));
  const to = Math.max(from, Math.min(size, Math.ceil(offset + extent * scale - 1e-6)));
  const step = 1 / (scale * cell);
  const cells = Math.ceil(extent / cell);
  const stride = scale < 1 ? mostCells(step) : 3;
  const n = to - from;
  const made: Axis = {
    from,
    to,
    first: new Int32Array(n),
    count: new Int32Array(n),
    weights: new Float64Array(n * stride),
    stride,
  };
  for (let i = 0; i < n; i++) {
    const start = (from + i - offset) * step;
    if (scale < 1)
      byArea(made, i, Math.max(0, start), Math.min(start + step, extent / cell), cells);
    else byLine(made, i, start + step / 2 - 0.5, cells);
  }
  return made;
}

/** How many cells a span of `step` cells can touch, slivers aside. */
function mostCells(step: number): number {
  return step < 2 ? 3 : Math.ceil(step) + 2;
}

/** The cells that the span [start, end) covers, each by how much of it lies inside. */
function byArea(made: Axis, i: number, start: number, end: number, cells: number): void {
  // A sliver below a thousandth of a cell is rounding, not picture; OpenCV drops it too.
  const first = Math.min(Math.floor(start + 1e-3), cells - 1);
  const last = Math.max(first, Math.min(Math.ceil(end - 1e-3), cells) - 1);
  let sum = 0;
  for (let c = first; c <= last; c++) {
    const inside = Math.max(0, Math.min(c + 1, end) - Math.max(c, start));
    made.weights[i * made.stride + c - first] = inside;
    sum += inside;
  }
  for (let c = 0; c <= last - first; c++) made.weights[i * made.stride + c] /= sum;
  made.first[i] = first;
  made.count[i] = last - first + 1;
}

/** The two cells between whose centres the position lies; the edge is continued. */
function byLine(made: Axis, i: number, position: number, cells: number): void {
  const at = Math.min(Math.max(position, 0), cells - 1);
  const first = Math.min(Math.floor(at), Math.max(0, cells - 2));
  made.first[i] = first;
  made.count[i] = Math.min(2, cells);
  made.weights[i * made.stride] = 1 - (at - first);
  made.weights[i * made.stride + 1] = at - first;
}

function combine(
  data: Uint16Array,
  width: number,
  across: Axis,
  down: Axis,
  outWidth: number,
  out: Uint16Array,
): void {
  const n = across.to - across.from;
  if (n === 0) return;
  const left = across.first[0];
  const right = across.first[n - 1] + across.count[n - 1];
  // Two more, so that columns can be taken three at a time with weights of zero at the end.
  const line = new Float64Array(right - left + 2);
  const columns = across.stride <= 3 ? sumThreeColumns : sumColumns;
  for (let i = 0; i < down.to - down.from; i++) {
    sumRows(data, width, left, right, down, i, line);
    columns(line, left, across, out, (down.from + i) * outWidth + across.from);
  }
}

/** One screen row as a weighted sum of rows. The hot loop: up to four rows are taken at a time. */
function sumRows(
  data: Uint16Array,
  width: number,
  left: number,
  right: number,
  down: Axis,
  i: number,
  line: Float64Array,
): void {
  const n = right - left;
  const { weights, stride } = down;
  const count = down.count[i];
  let at = i * stride;
  let row = down.first[i] * width + left;
  let k = Math.min(count, count === 4 ? 4 : 3);
  takeRows(data, row, width, weights, at, k, line, n);
  for (; k + 4 <= count; k += 4) {
    at = i * stride + k;
    row = (down.first[i] + k) * width + left;
    const [w0, w1, w2, w3] = [weights[at], weights[at + 1], weights[at + 2], weights[at + 3]];
    const b = row + width;
    const c = b + width;
    const d = c + width;
    for (let x = 0; x < n; x++) {
      line[x] += data[row + x] * w0 + data[b + x] * w1 + data[c + x] * w2 + data[d + x] * w3;
    }
  }
  for (; k < count; k++) {
    const w = weights[i * stride + k];
    row = (down.first[i] + k) * width + left;
    for (let x = 0; x < n; x++) line[x] += data[row + x] * w;
  }
}

/** The first one to four rows of a sum: they begin the line instead of being added to it. */
function takeRows(
  data: Uint16Array,
  row: number,
  width: number,
  weights: Float64Array,
  at: number,
  count: number,
  line: Float64Array,
  n: number,
): void {
  const b = row + width;
  const c = b + width;
  const d = c + width;
  const w0 = weights[at];
  if (count === 1) {
    for (let x = 0; x < n; x++) line[x] = data[row + x] * w0;
    return;
  }
  const w1 = weights[at + 1];
  if (count === 2) {
    for (let x = 0; x < n; x++) line[x] = data[row + x] * w0 + data[b + x] * w1;
    return;
  }
  const w2 = weights[at + 2];
  if (count === 3) {
    for (let x = 0; x < n; x++) line[x] = data[row + x] * w0 + data[b + x] * w1 + data[c + x] * w2;
    return;
  }
  const w3 = weights[at + 3];
  for (let x = 0; x < n; x++) {
    line[x] = data[row + x] * w0 + data[b + x] * w1 + data[c + x] * w2 + data[d + x] * w3;
  }
}

function sumColumns(
  line: Float64Array,
  left: number,
  across: Axis,
  out: Uint16Array,
  to: number,
): void {
  const { first, count, weights, stride } = across;
  for (let i = 0; i < first.length; i++) {
    const at = first[i] - left;
    const w = i * stride;
    let sum = 0;
    for (let k = 0; k < count[i]; k++) sum += line[at + k] * weights[w + k];
    out[to + i] = sum + 0.5;
  }
}

/** The same for at most three columns each, as while zooming: weights of zero fill up. */
function sumThreeColumns(
  line: Float64Array,
  left: number,
  across: Axis,
  out: Uint16Array,
  to: number,
): void {
  const { first, weights } = across;
  for (let i = 0, w = 0; i < first.length; i++, w += 3) {
    const at = first[i] - left;
    out[to + i] =
      line[at] * weights[w] + line[at + 1] * weights[w + 1] + line[at + 2] * weights[w + 2] + 0.5;
  }
}
