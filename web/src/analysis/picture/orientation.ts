/** The header's orientation compared with the shape of the breast. */

import {
  type Caution,
  caution,
  doubt,
  type Mammogram,
  type Numbers,
  type Orientation,
} from "../types";
import { type BreastRegion, edgeFills } from "./breast";

const LYING = 0.1;
const OTHER_SIDE = 0.2;

/** The mammogram turned clockwise; it has no orientation then. */
export function turned(mammogram: Mammogram, quarterTurns: number): Mammogram {
  const { data, rows, cols } = mammogram.pixels;
  const odd = quarterTurns % 2 === 1;
  const [height, width] = odd ? [cols, rows] : [rows, cols];
  const out = new (data.constructor as new (n: number) => Numbers)(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let from = (rows - 1 - y) * cols + (cols - 1 - x);
      if (quarterTurns === 1) from = (rows - 1 - x) * cols + y;
      if (quarterTurns === 3) from = x * cols + (cols - 1 - y);
      out[y * width + x] = data[from];
    }
  }
  return {
    ...mammogram,
    pixels: { data: out, rows: height, cols: width },
    ref: { ...mammogram.ref, aspect: odd ? 1 / mammogram.ref.aspect : mammogram.ref.aspect },
    orientation: null,
  };
}

/** By how many quarters a picture must be turned clockwise to stand upright. */
export function decideTurn(
  stated: Orientation | null,
  region: BreastRegion,
  w: number,
): [quarterTurns: number, notes: Caution[]] {
  const [top, bottom, left, right] = edgeFills(region, w);
  const lying = Math.max(top, bottom) - Math.max(left, right);
  const quarters = stated?.quarterTurns ?? 0;
  if (stated !== null && quarters % 2 && lying < -LYING) {
    const text =
      `${stated.keyword} says that the picture lies on its side, but the breast is upright; ` +
      "the picture was not turned";
    return [0, [doubt("orientation_contradicted", text)]];
  }
  if (quarters % 2 === 0 && lying > LYING) {
    const header =
      stated === null
        ? "the header has no orientation"
        : `${stated.keyword} says that it is upright`;
    const text = `the breast seems to lie on its side, but ${header}; the picture was not turned`;
    return [quarters, [doubt("lies_on_its_side", text)]];
  }
  const notes: Caution[] = [];
  if (stated !== null && quarters) {
    const text =
      `turned by ${90 * quarters} degrees, as ${stated.keyword} says; ` +
      "positions are given in the stored picture";
    notes.push(caution("turned_upright", text));
  }
  if (stated !== null && stated.chestWallRight !== null) {
    // `edges[n]` is the stored edge that is at the left after n clockwise quarter turns.
    const edges = [left, bottom, right, top];
    const rightMinusLeft = edges[(quarters + 2) % 4] - edges[quarters];
    if ((stated.chestWallRight ? rightMinusLeft : -rightMinusLeft) < -OTHER_SIDE) {
      const text = `${stated.keyword} and the picture show the chest wall at opposite sides`;
      notes.push(doubt("orientation_contradicted", text));
    }
  }
  return [quarters, notes];
}
