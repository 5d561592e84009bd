/**
 * How a stored picture must be turned and mirrored to hang: head up, chest wall inwards.
 *
 * Patient Orientation says which way is up and where the chest wall is (PS3.3 C.7.6.1.1.1,
 * C.8.11.7.1.4). The picture itself shows at which edge the chest wall lies; where the two disagree
 * the picture is followed, as `mammolens.preprocess` does, and the reader is warned.
 */

import type { Edge, ExamImage, Laterality, Point, ViewPosition } from "../exam";

/** Turned clockwise by `quarterTurns` × 90°, then mirrored left to right. */
export interface Turn {
  readonly quarterTurns: 0 | 1 | 2 | 3;
  readonly mirrored: boolean;
}

export type OrientationDoubt =
  | "orientation-contradicted"
  | "orientation-unknown"
  | "laterality-unknown";

export interface Hanging {
  readonly turn: Turn;
  /** Where the chest wall lies as hung; null if it is not known. */
  readonly chestWall: "left" | "right" | null;
  readonly doubt: OrientationDoubt | null;
}

interface Upright {
  readonly quarterTurns: Turn["quarterTurns"];
  readonly chestWall: "left" | "right";
}

type ImageFacts = Pick<ExamImage, "laterality" | "viewPosition" | "orientation">;

/** Right breasts hang with the chest wall at the right, left ones at the left. */
export function hangingOf(image: ImageFacts): Hanging {
  const { laterality, viewPosition, orientation } = image;
  const stated = statedUpright(orientation.patientOrientation, laterality, viewPosition);
  const upright = settle(stated, orientation.chestWallEdge, laterality);
  const turn = { quarterTurns: upright?.quarterTurns ?? 0, mirrored: false } as const;
  if (upright === null) return { turn, chestWall: null, doubt: "orientation-unknown" };
  if (laterality === null) {
    return { turn, chestWall: upright.chestWall, doubt: "laterality-unknown" };
  }
  const inwards = laterality === "R" ? "right" : "left";
  const contradicted =
    stated !== null &&
    (stated.quarterTurns !== upright.quarterTurns || stated.chestWall !== upright.chestWall);
  return {
    turn: { ...turn, mirrored: upright.chestWall !== inwards },
    chestWall: inwards,
    doubt: contradicted ? "orientation-contradicted" : null,
  };
}

/** Size of a picture after turning. */
export function turnedSize(columns: number, rows: number, turn: Turn): readonly [number, number] {
  return turn.quarterTurns % 2 === 1 ? [rows, columns] : [columns, rows];
}

/** A point of the source → the same point of the hung picture. Sizes are those of the source. */
export function toHung([x, y]: Point, columns: number, rows: number, turn: Turn): Point {
  const [hx, hy] = TURNED[turn.quarterTurns](x, y, columns, rows);
  return turn.mirrored ? [turnedSize(columns, rows, turn)[0] - hx, hy] : [hx, hy];
}

/** A point of the hung picture → the same point of the source. Sizes are those of the source. */
export function toSource([x, y]: Point, columns: number, rows: number, turn: Turn): Point {
  const [width, height] = turnedSize(columns, rows, turn);
  const hx = turn.mirrored ? width - x : x;
  const [sx, sy] = TURNED[(4 - turn.quarterTurns) % 4](hx, y, width, height);
  return [sx, sy];
}

/** A point of a w × h picture after 0 to 3 clockwise quarter turns. */
const TURNED: readonly ((x: number, y: number, w: number, h: number) => Point)[] = [
  (x, y) => [x, y],
  (x, y, _w, h) => [h - y, x],
  (x, y, w, h) => [w - x, h - y],
  (x, y, w) => [y, w - x],
];

/** What a clockwise quarter turn carries each edge to. */
const CLOCKWISE: Record<Edge, Edge> = {
  left: "top",
  top: "right",
  right: "bottom",
  bottom: "left",
};

function edgeAfter(edge: Edge, quarterTurns: number): Edge {
  let turned = edge;
  for (let i = 0; i < quarterTurns; i++) turned = CLOCKWISE[turned];
  return turned;
}

/** Up and down from the header, the chest wall's side from the picture where it is known. */
function settle(
  stated: Upright | null,
  found: Edge | null,
  laterality: Laterality | null,
): Upright | null {
  if (found === null) return stated;
  if (stated !== null) {
    const edge = edgeAfter(found, stated.quarterTurns);
    if (isSide(edge)) return { quarterTurns: stated.quarterTurns, chestWall: edge };
  }
  if (isSide(found)) return { quarterTurns: 0, chestWall: found };
  // It lies on its side and nothing says which way is up: the turn that needs no mirror.
  const wanted = laterality === "L" ? "left" : "right";
  const quarterTurns = edgeAfter(found, 1) === wanted ? 1 : 3;
  return { quarterTurns, chestWall: wanted };
}

function isSide(edge: Edge): edge is "left" | "right" {
  return edge === "left" || edge === "right";
}

const OPPOSITE: Record<string, string> = { A: "P", P: "A", L: "R", R: "L", H: "F", F: "H" };
const AXIS: Record<string, string> = { A: "AP", P: "AP", L: "LR", R: "LR", H: "HF", F: "HF" };
const FROM_ABOVE: ReadonlySet<ViewPosition | null> = new Set(["CC", "XCCL", "XCCM", "FB", "CV"]);

/** The same rules as `mammolens.images.dicom.header.stated_orientation`. */
function statedUpright(
  stated: readonly [string, string] | null,
  laterality: Laterality | null,
  view: ViewPosition | null,
): Upright | null {
  let [row, column] = stated ?? ["", ""];
  const readable = /^[APLRHF]{1,3}$/;
  if (!readable.test(row) || !readable.test(column)) return null;
  const axes = [AXIS[row[0]], AXIS[column[0]]];
  if (axes[0] === axes[1] || !axes.includes("AP")) return null;
  for (let turns = 0; turns < 4; turns++) {
    if (AXIS[row[0]] === "AP" && runsDown(column, laterality, view)) {
      return {
        quarterTurns: turns as Turn["quarterTurns"],
        chestWall: row[0] === "P" ? "right" : "left",
      };
    }
    // Turned clockwise, what ran up runs to the right, and what ran to the right runs down.
    [row, column] = [[...column].map((letter) => OPPOSITE[letter]).join(""), row];
  }
  return null;
}

/** Whether columns run to the feet, or in a view from above to the inner side of the breast. */
function runsDown(
  column: string,
  laterality: Laterality | null,
  view: ViewPosition | null,
): boolean {
  const across = AXIS[column[0]] === "LR" && laterality !== null;
  const vertical = [...column].find((letter) => AXIS[letter] === "HF");
  if (vertical !== undefined && !(across && FROM_ABOVE.has(view))) return vertical === "F";
  return across ? column[0] === (laterality === "L" ? "R" : "L") : true;
}
