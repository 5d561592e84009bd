/**
 * Where a picture lies in its pane, and how zoom and pan move it.
 *
 * All panes of a step share one scale in common units: millimetres where every picture has a
 * spacing, else pixels. Each picture hangs at an anchor: the middle of its chest wall at the inner
 * edge of the pane. A camera says how far it was zoomed and moved from there, so that one camera
 * can move all panes: "outwards" is away from the chest wall on either side.
 */

import type { Box, ExamImage, Point } from "../exam";
import type { Placement } from "../resample";
import { type Hanging, hangingOf, toHung, toSource, turnedSize } from "./orientation";
import { spacingOf } from "./spacing";

export interface PaneSize {
  /** In device pixels. */
  readonly width: number;
  readonly height: number;
}

export interface Camera {
  /** 1 shows every picture of the step whole. */
  readonly zoom: number;
  /** The point of the picture at the anchor, in common units from the middle of the chest wall. */
  readonly out: number;
  readonly down: number;
}

export const HOME: Camera = { zoom: 1, out: 0, down: 0 };

export type Unit = "mm" | "px";

/** A picture as it hangs, in common units. */
export interface HungImage {
  readonly image: ExamImage;
  readonly hanging: Hanging;
  /** Size in pixels, after turning. */
  readonly width: number;
  readonly height: number;
  /** Common units per pixel, after turning. */
  readonly unitX: number;
  readonly unitY: number;
  /** What "whole" means: the picture or the breast in it, in pixels after turning. */
  readonly whole: {
    readonly x0: number;
    readonly y0: number;
    readonly x1: number;
    readonly y1: number;
  };
}

/** Millimetres can be compared only if all pictures have them. */
export function commonUnit(images: readonly ExamImage[]): Unit {
  return images.length > 0 && images.every((image) => spacingOf(image) !== null) ? "mm" : "px";
}

export function hangImage(image: ExamImage, unit: Unit, fit: "picture" | "breast"): HungImage {
  const hanging = hangingOf(image);
  const [width, height] = turnedSize(image.columns, image.rows, hanging.turn);
  const spacing = unit === "mm" ? spacingOf(image) : null;
  const column = spacing?.columnMm ?? 1;
  const row = spacing?.rowMm ?? image.pixelAspect;
  const lying = hanging.turn.quarterTurns % 2 === 1;
  const box = fit === "breast" && image.breastBox !== null ? image.breastBox : null;
  return {
    image,
    hanging,
    width,
    height,
    unitX: lying ? row : column,
    unitY: lying ? column : row,
    whole: box === null ? { x0: 0, y0: 0, x1: width, y1: height } : hungBox(box, image, hanging),
  };
}

/** A box of the source after turning. */
export function hungBox(box: Box, image: ExamImage, hanging: Hanging): HungImage["whole"] {
  const a = toHung([box[1], box[0]], image.columns, image.rows, hanging.turn);
  const b = toHung([box[3], box[2]], image.columns, image.rows, hanging.turn);
  return {
    x0: Math.min(a[0], b[0]),
    y0: Math.min(a[1], b[1]),
    x1: Math.max(a[0], b[0]),
    y1: Math.max(a[1], b[1]),
  };
}

/** Device pixels per common unit at which every picture is whole in its pane. */
export function fitScale(
  panes: readonly { readonly size: PaneSize; readonly hung: HungImage }[],
): number {
  let scale = Number.POSITIVE_INFINITY;
  for (const { size, hung } of panes) {
    // The chest wall stays at the edge of the pane, so the breast's depth counts from there.
    const [left, right] = reach(hung);
    const high = (hung.whole.y1 - hung.whole.y0) * hung.unitY;
    scale = Math.min(scale, size.width / ((right - left) * hung.unitX), size.height / high);
  }
  return Number.isFinite(scale) && scale > 0 ? scale : 1;
}

/** Columns that must be seen: from the chest wall's edge of the picture to the far end. */
function reach(hung: HungImage): readonly [number, number] {
  if (hung.hanging.chestWall === "right") return [hung.whole.x0, hung.width];
  if (hung.hanging.chestWall === "left") return [0, hung.whole.x1];
  return [hung.whole.x0, hung.whole.x1];
}

/** The anchor's place in the picture and in the pane. */
function anchor(hung: HungImage, size: PaneSize): { readonly hung: Point; readonly pane: Point } {
  const y = (hung.whole.y0 + hung.whole.y1) / 2;
  const middle = size.height / 2;
  if (hung.hanging.chestWall === "right")
    return { hung: [hung.width, y], pane: [size.width, middle] };
  if (hung.hanging.chestWall === "left") return { hung: [0, y], pane: [0, middle] };
  return { hung: [(hung.whole.x0 + hung.whole.x1) / 2, y], pane: [size.width / 2, middle] };
}

/** +1 where outwards is to the right of the screen. */
function outwards(hung: HungImage): 1 | -1 {
  return hung.hanging.chestWall === "right" ? -1 : 1;
}

/**
 * The placement of a picture. It begins on a whole pixel of the screen, so that the same scale gives
 * the same greys wherever the picture is moved.
 *
 * @param fit device pixels per common unit at zoom 1
 */
export function place(camera: Camera, fit: number, size: PaneSize, hung: HungImage): Placement {
  const scale = fit * camera.zoom;
  const at = anchor(hung, size);
  const scaleX = snapped(scale * hung.unitX);
  const scaleY = snapped(scale * hung.unitY);
  return {
    width: size.width,
    height: size.height,
    scaleX,
    scaleY,
    offsetX: Math.round(at.pane[0] - at.hung[0] * scaleX - outwards(hung) * camera.out * scale),
    offsetY: Math.round(at.pane[1] - at.hung[1] * scaleY - camera.down * scale),
  };
}

/** Exactly 1 where only rounding keeps it from that: pixels are then copied. */
function snapped(scale: number): number {
  return Math.abs(scale - 1) < 1e-6 ? 1 : scale;
}

/** The camera after the picture was dragged by some device pixels. */
export function pannedBy(
  camera: Camera,
  fit: number,
  hung: HungImage,
  dx: number,
  dy: number,
): Camera {
  const scale = fit * camera.zoom;
  return {
    ...camera,
    out: camera.out - (outwards(hung) * dx) / scale,
    down: camera.down - dy / scale,
  };
}

/** The camera at another zoom, with the picture's point under `at` (device pixels) kept in place. */
export function zoomedAt(
  camera: Camera,
  fit: number,
  size: PaneSize,
  hung: HungImage,
  at: Point,
  zoom: number,
): Camera {
  const bounded = Math.min(Math.max(zoom, 0.25), 64);
  const away = anchor(hung, size).pane;
  const change = 1 / (fit * camera.zoom) - 1 / (fit * bounded);
  return {
    zoom: bounded,
    out: camera.out + outwards(hung) * (at[0] - away[0]) * change,
    down: camera.down + (at[1] - away[1]) * change,
  };
}

/** The zoom at which one pixel of the picture is one pixel of the screen. */
export function zoomOneToOne(fit: number, hung: HungImage): number {
  return 1 / (fit * hung.unitX);
}

/** The zoom of true size; null unless lengths are known. `screen` is in device pixels per mm. */
export function zoomTrueSize(fit: number, unit: Unit, screen: number | null): number | null {
  return unit === "mm" && screen !== null ? screen / fit : null;
}

export function paneToSource(at: Point, placement: Placement, hung: HungImage): Point {
  const x = (at[0] - placement.offsetX) / placement.scaleX;
  const y = (at[1] - placement.offsetY) / placement.scaleY;
  return toSource([x, y], hung.image.columns, hung.image.rows, hung.hanging.turn);
}

export function sourceToPane(point: Point, placement: Placement, hung: HungImage): Point {
  const [x, y] = toHung(point, hung.image.columns, hung.image.rows, hung.hanging.turn);
  return [x * placement.scaleX + placement.offsetX, y * placement.scaleY + placement.offsetY];
}
