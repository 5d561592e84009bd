/** Convex hulls, filled as OpenCV fills a convex polygon, and outlines of parts. */

import type { Bytes } from "./arrays";

type Point = readonly [x: number, y: number];

/** The convex hull of all true pixels. */
export function hullOf(mask: Bytes, h: number, w: number): Point[] {
  const points: Point[] = [];
  for (let y = 0; y < h; y++) {
    const row = mask.subarray(y * w, (y + 1) * w);
    const first = row.findIndex((v) => v !== 0);
    if (first < 0) continue;
    const last = row.findLastIndex((v) => v !== 0);
    points.push([first, y]);
    if (last > first) points.push([last, y]);
  }
  return convexHull(points);
}

/** Monotone chain; the points without those on straight lines. */
export function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  if (sorted.length < 3) return sorted;
  const half = (ordered: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of ordered) {
      while (
        chain.length > 1 &&
        turn(chain[chain.length - 2], chain[chain.length - 1], point) <= 0
      ) {
        chain.pop();
      }
      chain.push(point);
    }
    chain.pop();
    return chain;
  };
  return [...half(sorted), ...half([...sorted].reverse())];
}

function turn(a: Point, b: Point, c: Point): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

/** Area within a closed polygon. */
export function polygonArea(points: readonly Point[]): number {
  let twice = 0;
  for (let i = 0; i < points.length; i++) {
    const [a, b] = [points[i], points[(i + 1) % points.length]];
    twice += a[0] * b[1] - b[0] * a[1];
  }
  return Math.abs(twice) / 2;
}

/** Length of a closed line through pixels. */
export function lineLength(points: readonly Point[]): number {
  let sum = 0;
  for (let i = 0; i < points.length; i++) {
    const [a, b] = [points[i], points[(i + 1) % points.length]];
    sum += Math.hypot(a[0] - b[0], a[1] - b[1]);
  }
  return sum;
}

/** Fills a convex polygon, with its edges, into a new mask. */
export function fillConvex(points: readonly Point[], h: number, w: number): Bytes {
  const mask = new Uint8Array(h * w);
  for (let i = 0; i < points.length; i++) {
    drawLine(mask, w, points[(i + points.length - 1) % points.length], points[i]);
  }
  for (let y = 0; y < h; y++) {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < points.length; i++) {
      const [a, b] = [points[i], points[(i + 1) % points.length]];
      if (Math.min(a[1], b[1]) > y || Math.max(a[1], b[1]) < y || a[1] === b[1]) continue;
      const x = a[0] + ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]);
      low = Math.min(low, x);
      high = Math.max(high, x);
    }
    if (high >= low)
      mask.fill(1, y * w + Math.floor(low + 0.5), y * w + Math.floor(high + 0.5) + 1);
  }
  return mask;
}

/** Bresenham's line from left to right, with eight neighbours, as OpenCV's. */
function drawLine(mask: Bytes, w: number, one: Point, other: Point): void {
  const [from, to] = other[0] < one[0] ? [other, one] : [one, other];
  let [x, y] = from;
  const down = to[1] >= y ? 1 : -1;
  const dx = to[0] - x;
  const dy = Math.abs(to[1] - y);
  const steep = dy > dx;
  const [long, short] = steep ? [dy, dx] : [dx, dy];
  let error = long - 2 * short;
  for (let i = 0; i <= long; i++) {
    mask[y * w + x] = 1;
    const sideways = error < 0;
    error += (sideways ? 2 * long : 0) - 2 * short;
    if (steep) {
      y += down;
      if (sideways) x++;
    } else {
      x++;
      if (sideways) y += down;
    }
  }
}

const AROUND: readonly Point[] = [
  [1, 0],
  [1, 1],
  [0, 1],
  [-1, 1],
  [-1, 0],
  [-1, -1],
  [0, -1],
  [1, -1],
];

/** The outer border of the part whose topmost, then leftmost pixel is the seed, pixel by pixel. */
export function outlineOf(mask: Bytes, h: number, w: number, seed: number): Point[] {
  const isSet = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < w && y < h && mask[y * w + x] !== 0;
  const start: Point = [seed % w, Math.floor(seed / w)];
  const points: Point[] = [];
  // Before the seed lies nothing: to its left, and above it.
  let [x, y] = start;
  let back = 4;
  let firstStep = -1;
  for (;;) {
    let step = -1;
    for (let n = 1; n <= 8; n++) {
      const way = (back + n) % 8;
      if (isSet(x + AROUND[way][0], y + AROUND[way][1])) {
        step = way;
        break;
      }
    }
    if (step < 0) return [start];
    if (x === start[0] && y === start[1]) {
      if (firstStep < 0) firstStep = step;
      else if (step === firstStep) return points;
    }
    points.push([x, y]);
    x += AROUND[step][0];
    y += AROUND[step][1];
    back = (step + 4) % 8;
  }
}
