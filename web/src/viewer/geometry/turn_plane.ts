/** Pixels turned clockwise by quarters and mirrored, as `orientation` says. */

import type { Plane } from "../decode/raw";
import { type Turn, toHung, turnedSize } from "./orientation";

/** A new plane, or the same one where nothing has to be done. */
export function turnPlane(plane: Plane, turn: Turn): Plane {
  if (turn.quarterTurns === 0 && !turn.mirrored) return plane;
  const { data, width, height } = plane;
  const [w, h] = turnedSize(width, height, turn);
  const turned = new Uint16Array(data.length);
  // Where the first pixel goes, and how far the next ones to the right and below go from there.
  const index = (x: number, y: number) => {
    const [hx, hy] = toHung([x + 0.5, y + 0.5], width, height, turn);
    return (hy - 0.5) * w + hx - 0.5;
  };
  const start = index(0, 0);
  const right = index(1, 0) - start;
  const below = index(0, 1) - start;
  for (let y = 0, from = 0; y < height; y++) {
    let to = start + y * below;
    for (let x = 0; x < width; x++, from++, to += right) turned[to] = data[from];
  }
  return { ...plane, data: turned, width: w, height: h };
}
