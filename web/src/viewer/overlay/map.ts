/**
 * The AI's map over the picture: strengths at any source point, contours, and a tint.
 * Bilinear between the centres of cells, as `mammolens` lays maps over pictures.
 */

import type { AiMap, Point } from "../exam";

/** The strength at a source point; 0 where the model saw nothing. */
export function strengthAt(map: AiMap, [x, y]: Point): number {
  const [seen0, left, seen1, right] = map.seen;
  if (y < seen0 || y >= seen1 || x < left || x >= right) return 0;
  const [row0, column0, row1, column1] = map.box;
  const r = bounded(((y - row0) / (row1 - row0)) * map.rows - 0.5, map.rows);
  const c = bounded(((x - column0) / (column1 - column0)) * map.columns - 0.5, map.columns);
  const [r0, c0] = [Math.floor(r), Math.floor(c)];
  const [r1, c1] = [Math.min(r0 + 1, map.rows - 1), Math.min(c0 + 1, map.columns - 1)];
  const above = mixed(value(map, r0, c0), value(map, r0, c1), c - c0);
  const below = mixed(value(map, r1, c0), value(map, r1, c1), c - c0);
  return mixed(above, below, r - r0);
}

/** A grid of strengths over what the model saw, `step` source pixels apart. */
export interface StrengthGrid {
  readonly columns: number;
  readonly rows: number;
  /** Source point of the first sample. */
  readonly origin: Point;
  readonly step: number;
  readonly values: Float32Array;
}

/** About as many samples along the longer side as a screen can show of a smooth map. */
const SAMPLES = 240;

export function sampleMap(map: AiMap): StrengthGrid {
  const [row0, column0, row1, column1] = map.seen;
  const step = Math.max(row1 - row0, column1 - column0) / SAMPLES;
  const columns = Math.max(2, Math.ceil((column1 - column0) / step));
  const rows = Math.max(2, Math.ceil((row1 - row0) / step));
  const origin: Point = [column0 + step / 2, row0 + step / 2];
  const values = Float32Array.from({ length: rows * columns }, (_, i) =>
    strengthAt(map, [
      Math.min(origin[0] + (i % columns) * step, column1 - 1e-6),
      Math.min(origin[1] + Math.floor(i / columns) * step, row1 - 1e-6),
    ]),
  );
  return { columns, rows, origin, step, values };
}

const known = new WeakMap<StrengthGrid, Map<number, readonly number[]>>();

/**
 * Line pieces, each [x0, y0, x1, y1] in source pixels, where the map crosses a level. They are kept
 * with the grid: zooming draws the same lines many times.
 */
export function contours(grid: StrengthGrid, level: number): readonly number[] {
  const levels = known.get(grid) ?? new Map<number, readonly number[]>();
  known.set(grid, levels);
  const lines = levels.get(level) ?? trace(grid, level);
  levels.set(level, lines);
  return lines;
}

function trace(grid: StrengthGrid, level: number): readonly number[] {
  const lines: number[] = [];
  const at = (x: number, y: number) => {
    const inside = x >= 0 && y >= 0 && x < grid.columns && y < grid.rows;
    return inside ? grid.values[y * grid.columns + x] : 0;
  };
  const push = (x: number, y: number) =>
    lines.push(grid.origin[0] + x * grid.step, grid.origin[1] + y * grid.step);
  // One ring of zeros around the grid closes every line.
  for (let y = -1; y < grid.rows; y++) {
    for (let x = -1; x < grid.columns; x++) {
      square([at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)], level, x, y, push);
    }
  }
  return lines;
}

const CORNERS: readonly Point[] = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

/** Marching squares: one line for each pair of edges that the level crosses, in order. */
function square(
  values: readonly number[],
  level: number,
  x: number,
  y: number,
  push: (x: number, y: number) => void,
): void {
  const crossings: { at: Point; rising: boolean }[] = [];
  for (let i = 0; i < 4; i++) {
    const [a, b] = [values[i], values[(i + 1) % 4]];
    if (a >= level === b >= level) continue;
    const share = (level - a) / (b - a);
    const [from, to] = [CORNERS[i], CORNERS[(i + 1) % 4]];
    const at: Point = [
      x + from[0] + share * (to[0] - from[0]),
      y + from[1] + share * (to[1] - from[1]),
    ];
    crossings.push({ at, rising: b >= level });
  }
  if (crossings.length === 0) return;
  // Each corner region begins where the ring rises above the level and ends where it falls.
  const first = crossings.findIndex((crossing) => crossing.rising);
  for (let i = 0; i < crossings.length; i += 2) {
    for (const k of [i, i + 1]) push(...crossings[(first + k) % crossings.length].at);
  }
}

/** Colour-blind safe (Okabe and Ito 2008): orange on grey, which differ in lightness too. */
const TINT = [230, 159, 0] as const;

/**
 * A tint of the places at or above the threshold, as RGBA bytes of the grid.
 *
 * @param opacity 0–1, of the strongest place shown
 */
export function tint(grid: StrengthGrid, threshold: number, opacity: number): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(4 * grid.values.length);
  const top = Math.max(2 * threshold, 2);
  for (let i = 0; i < grid.values.length; i++) {
    const strength = grid.values[i];
    if (strength < threshold) continue;
    const share = Math.min(1, 0.4 + (0.6 * (strength - threshold)) / (top - threshold));
    rgba.set(TINT, 4 * i);
    rgba[4 * i + 3] = 255 * opacity * share;
  }
  return rgba;
}

function value(map: AiMap, row: number, column: number): number {
  return map.values[row * map.columns + column];
}

function bounded(position: number, count: number): number {
  return Math.min(Math.max(position, 0), count - 1);
}

function mixed(a: number, b: number, share: number): number {
  return a + (b - a) * share;
}
