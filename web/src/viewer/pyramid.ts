/**
 * A pyramid by area: each level averages 2 × 2 cells of the level below, in 16 bit.
 *
 * Cells at the right and lower edge may cover less of the picture than the others. They are averages
 * of what they cover, so that no row or column of the picture is lost.
 */

import type { Plane } from "./decode/raw";

export interface Level {
  readonly plane: Plane;
  /** Pixels of the picture along either side of a whole cell: 1, 2, 4, … */
  readonly cell: number;
}

/** The picture itself, then ever smaller levels. */
export type Pyramid = readonly [Level, ...Level[]];

/** Levels smaller than this along both sides are not made: no pane is that small. */
const SMALLEST_SIDE = 128;

export function buildPyramid(picture: Plane): Pyramid {
  const levels: [Level, ...Level[]] = [{ plane: picture, cell: 1 }];
  let last: Level = levels[0];
  while (Math.max(last.plane.width, last.plane.height) > 2 * SMALLEST_SIDE) {
    last = halve(last, picture.width, picture.height);
    levels.push(last);
  }
  return levels;
}

/**
 * The level to average from while the picture moves: the coarsest one whose cells are not larger
 * than a pixel of the screen.
 *
 * @param scale pixels of the screen per pixel of the picture
 */
export function levelFor(pyramid: Pyramid, scale: number): Level {
  let level = pyramid[0];
  for (const next of pyramid) if (next.cell * scale <= 1) level = next;
  return level;
}

function halve(level: Level, pictureWidth: number, pictureHeight: number): Level {
  const { data, width, height, bias } = level.plane;
  const w = (width + 1) >> 1;
  const h = (height + 1) >> 1;
  const half = new Uint16Array(w * h);
  const wholeColumns = evenCells(width, pictureWidth, level.cell);
  const wholeRows = evenCells(height, pictureHeight, level.cell);
  for (let y = 0; y < wholeRows; y++) {
    let above = 2 * y * width;
    let below = above + width;
    const to = y * w;
    for (let x = 0; x < wholeColumns; x++, above += 2, below += 2) {
      half[to + x] = (data[above] + data[above + 1] + data[below] + data[below + 1] + 2) >> 2;
    }
  }
  const columnWeights = edgeWeights(width, pictureWidth, level.cell);
  const rowWeights = edgeWeights(height, pictureHeight, level.cell);
  const edge = (x: number, y: number) => {
    const [left, right] = x < wholeColumns ? EVEN : columnWeights;
    const [top, bottom] = y < wholeRows ? EVEN : rowWeights;
    const x1 = Math.min(2 * x + 1, width - 1);
    const y1 = Math.min(2 * y + 1, height - 1);
    const above = data[2 * y * width + 2 * x] * left + data[2 * y * width + x1] * right;
    const below = data[y1 * width + 2 * x] * left + data[y1 * width + x1] * right;
    half[y * w + x] = Math.round(above * top + below * bottom);
  };
  for (let x = wholeColumns; x < w; x++) for (let y = 0; y < h; y++) edge(x, y);
  for (let y = wholeRows; y < h; y++) for (let x = 0; x < wholeColumns; x++) edge(x, y);
  return { plane: { data: half, width: w, height: h, bias }, cell: 2 * level.cell };
}

const EVEN = [0.5, 0.5] as const;

/** How many cells of the new level are made of two whole cells. */
function evenCells(count: number, extent: number, cell: number): number {
  return extent === count * cell ? count >> 1 : (count - 1) >> 1;
}

/** Weights of the last pair of cells: how much of the picture each of them covers. */
function edgeWeights(count: number, extent: number, cell: number): readonly [number, number] {
  if (count % 2 === 1) return [1, 0];
  const last = extent - (count - 1) * cell;
  return [cell / (cell + last), last / (cell + last)];
}
