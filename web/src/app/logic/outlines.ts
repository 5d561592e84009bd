/** Closed lines around a finding, from the AI's map at the level from which findings count. Pure. */

import type { AiMap, Box, Point } from "../../viewer/exam";
import { contours, sampleMap } from "../../viewer/overlay/map";

const LEVEL = 1;

/** The lines whose middle lies in the box; none where the map has no closed line there. */
export function outlinesIn(map: AiMap, [row0, column0, row1, column1]: Box): readonly Point[][] {
  const lines = joined(contours(sampleMap(map), LEVEL));
  return lines.filter((line) => {
    const x = mean(line.map((point) => point[0]));
    const y = mean(line.map((point) => point[1]));
    return column0 <= x && x <= column1 && row0 <= y && y <= row1;
  });
}

/** Pieces [x0, y0, x1, y1, …] that meet end to end → closed lines. */
export function joined(pieces: readonly number[]): Point[][] {
  const key = (x: number, y: number) => `${x.toFixed(3)} ${y.toFixed(3)}`;
  const from = new Map<string, Point>();
  for (let i = 0; i + 3 < pieces.length; i += 4) {
    from.set(key(pieces[i], pieces[i + 1]), [pieces[i + 2], pieces[i + 3]]);
  }
  const lines: Point[][] = [];
  while (from.size > 0) {
    const [first] = from.keys();
    const line: Point[] = [];
    let at = first;
    for (let next = from.get(at); next !== undefined; next = from.get(at)) {
      from.delete(at);
      line.push(next);
      at = key(...next);
    }
    if (at === first && line.length > 2) lines.push(line);
  }
  return lines;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
