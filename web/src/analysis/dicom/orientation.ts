/** How a stored picture must be turned to be upright, by Patient Orientation (0020,0020). */

import { type Orientation, type Side, VIEWS, type View } from "../types";
import type { Tags } from "./tags";

const KEYWORD = "PatientOrientation";
const DIRECTION = /^[APLRHF]{1,3}$/;
const OPPOSITE: Readonly<Record<string, string>> = {
  A: "P",
  P: "A",
  L: "R",
  R: "L",
  H: "F",
  F: "H",
};
const AXIS: Readonly<Record<string, string>> = {
  A: "AP",
  P: "AP",
  L: "LR",
  R: "LR",
  H: "HF",
  F: "HF",
};
const FROM_ABOVE = new Set(["CC", "XCCL", "XCCM", "FB", "CV"]);

export function statedOrientation(
  tags: Tags,
  side: Side | null,
  view: View | null,
): Orientation | null {
  const stated = tags.texts(KEYWORD).map((text) => text.toUpperCase());
  if (!stated.length || stated.every((text) => VIEWS.includes(text))) return null;
  let [row, column] = stated.length === 2 ? stated : ["", ""];
  const axes = [AXIS[row[0]], AXIS[column[0]]];
  const readable = DIRECTION.test(row) && DIRECTION.test(column);
  if (!readable || axes[0] === axes[1] || !axes.includes("AP")) {
    const text = `${KEYWORD} is impossible for a mammogram and was ignored`;
    tags.caution("orientation_unusable", text);
    return null;
  }
  let quarterTurns = 0;
  while (AXIS[row[0]] !== "AP" || !runsDown(column, side, view)) {
    // After a clockwise turn, the direction up is the direction right, and right is down.
    [row, column] = [[...column].map((letter) => OPPOSITE[letter]).join(""), row];
    if (++quarterTurns > 3) throw new Error("no quarter turn makes the picture upright");
  }
  return { quarterTurns, chestWallRight: row[0] === "P", keyword: KEYWORD };
}

/** Whether the columns run as in an upright picture; its rows are known to. */
function runsDown(column: string, side: Side | null, view: View | null): boolean {
  const across = "LR".includes(column[0]) && side !== null;
  const vertical = [...column].find((letter) => letter === "H" || letter === "F");
  if (vertical !== undefined && !(across && view !== null && FROM_ABOVE.has(view))) {
    return vertical === "F";
  }
  return across ? column[0] === (side === "L" ? "R" : "L") : true;
}
