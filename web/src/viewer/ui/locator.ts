/** A small frame that says which part of the picture a pane shows, drawn while it is not whole. */

import type { Point } from "../exam";
import type { Shape } from "../overlay/shapes";
import type { PaneScene, Shown } from "../scene";
import { cameraOf, type ViewerState } from "../state";

/** Share of the pane's height. */
const HEIGHT = 0.16;
const MARGIN = 14;

export function locatorShapes(state: ViewerState, pane: PaneScene, shown: Shown): readonly Shape[] {
  if (cameraOf(state, pane.index).zoom <= 1.05) return [];
  const { hung, placement } = shown;
  const wide = hung.width * hung.unitX;
  const high = hung.height * hung.unitY;
  const scale = (HEIGHT * pane.rect.height) / high;
  // At the inner lower corner: the words stand at the outer side.
  const left = hung.hanging.chestWall === "left" ? MARGIN : pane.rect.width - MARGIN - wide * scale;
  const top = pane.rect.height - MARGIN - high * scale;
  const at = (x: number, y: number): Point => [
    left + Math.min(Math.max(x / (hung.width * placement.scaleX), 0), 1) * wide * scale,
    top + Math.min(Math.max(y / (hung.height * placement.scaleY), 0), 1) * high * scale,
  ];
  const rectangle = (x0: number, y0: number, x1: number, y1: number): readonly Point[] => [
    at(x0, y0),
    at(x1, y0),
    at(x1, y1),
    at(x0, y1),
  ];
  const { offsetX, offsetY } = placement;
  const whole = rectangle(0, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  const seen = rectangle(-offsetX, -offsetY, pane.rect.width - offsetX, pane.rect.height - offsetY);
  return [
    { kind: "line", look: "mark", points: whole, closed: true },
    { kind: "line", look: "selected", points: seen, closed: true },
  ];
}
