/** The map between stored and prepared pixels, as `mammolens.core.geometry`. */

import type { Box } from "../types";

type Shape = readonly [rows: number, cols: number];

export interface Geometry {
  readonly sourceShape: Shape;
  readonly crop: Box;
  readonly scaledShape: Shape;
  readonly offset: Shape;
  readonly preparedShape: Shape;
  readonly flipped: boolean;
  readonly quarterTurns: number;
}

/** A box of a picture of a shape, when the picture is turned clockwise. */
export function turnBox(box: Box, shape: Shape, quarterTurns: number): Box {
  let [rows, cols] = shape;
  let turned = box;
  for (let n = ((quarterTurns % 4) + 4) % 4; n > 0; n--) {
    turned = [turned[1], rows - turned[2], turned[3], rows - turned[0]];
    [rows, cols] = [cols, rows];
  }
  return turned;
}

/** The map of an upright source → that of the source as it is stored. */
export function storedTurned(geometry: Geometry, quarterTurns: number): Geometry {
  const [rows, cols] = geometry.sourceShape;
  return {
    ...geometry,
    sourceShape: quarterTurns % 2 ? [cols, rows] : [rows, cols],
    crop: turnBox(geometry.crop, geometry.sourceShape, -quarterTurns),
    quarterTurns,
  };
}

/** A box of prepared pixels in source pixels, clipped to the source image. */
export function boxToSource(geometry: Geometry, box: Box): Box {
  const { sourceShape, scaledShape, offset, flipped, quarterTurns } = geometry;
  const crop = turnBox(geometry.crop, sourceShape, quarterTurns);
  const shape: Shape = quarterTurns % 2 ? [sourceShape[1], sourceShape[0]] : sourceShape;
  const down = scaledShape[0] / (crop[2] - crop[0]);
  const across = scaledShape[1] / (crop[3] - crop[1]);
  let [left, right] = [box[1] - offset[1], box[3] - offset[1]];
  if (flipped) [left, right] = [scaledShape[1] - right, scaledShape[1] - left];
  const clip = (value: number, most: number) => Math.min(Math.max(value, 0), most);
  const clipped: Box = [
    clip((box[0] - offset[0]) / down + crop[0], shape[0]),
    clip(left / across + crop[1], shape[1]),
    clip((box[2] - offset[0]) / down + crop[0], shape[0]),
    clip(right / across + crop[1], shape[1]),
  ];
  return turnBox(clipped, shape, -quarterTurns);
}
