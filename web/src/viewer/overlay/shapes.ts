/**
 * What is drawn over a picture, as plain shapes in pixels of the pane: the reader's marks, the AI's
 * outlines and contours. Pure; `ui/overlay_svg` puts them on the screen.
 */

import type { AiImage, Point } from "../exam";
import type { Mark } from "../tools/marks";
import { contours, type StrengthGrid } from "./map";

export type Look =
  | "mark"
  | "other"
  | "selected"
  | "draft"
  | "ai"
  | "ai-strong"
  | "contour"
  | "contour-strong";

export type Shape =
  | {
      readonly kind: "line";
      readonly look: Look;
      readonly points: readonly Point[];
      readonly closed: boolean;
    }
  | { readonly kind: "pieces"; readonly look: Look; readonly pieces: readonly number[] }
  | {
      readonly kind: "ellipse";
      readonly look: Look;
      readonly center: Point;
      readonly radius: Point;
    }
  | { readonly kind: "cross"; readonly look: Look; readonly at: Point }
  | { readonly kind: "arrow"; readonly look: Look; readonly from: Point; readonly to: Point }
  | { readonly kind: "handle"; readonly look: Look; readonly at: Point }
  /** Text that begins at a point, or ends there where it stands `before` it. */
  | {
      readonly kind: "words";
      readonly look: Look;
      readonly at: Point;
      readonly text: string;
      readonly before: boolean;
    };

/** Where shapes are drawn. */
export interface Sheet {
  /** The pane's size in device pixels. */
  readonly width: number;
  readonly height: number;
  /** The side away from the chest wall: words stand there, where they hide least. */
  readonly outer: "left" | "right";
  toPane(source: Point): Point;
}

/** Shapes of one mark, with its ends as handles if it is selected. */
export function markShapes(mark: Mark, look: Look, words: string, sheet: Sheet): Shape[] {
  const points = mark.points.map(sheet.toPane);
  const [a, b] = points;
  const shapes: Shape[] = [];
  switch (mark.kind) {
    case "point":
    case "text":
      shapes.push({ kind: "cross", look, at: a });
      break;
    case "length":
      if (b)
        shapes.push({ kind: "line", look, points: [a, b], closed: false }, ...ends(a, b, look));
      break;
    case "arrow":
      if (b) shapes.push({ kind: "arrow", look, from: a, to: b });
      break;
    case "ellipse":
      if (b) {
        const center: Point = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
        const radius: Point = [Math.abs(b[0] - a[0]) / 2, Math.abs(b[1] - a[1]) / 2];
        shapes.push({ kind: "ellipse", look, center, radius });
      }
      break;
  }
  if (words !== "") shapes.push(...wordsBeside(points, look, words, sheet));
  if (look === "selected") {
    shapes.push(...points.map((at): Shape => ({ kind: "handle", look, at })));
  }
  return shapes;
}

/** Small bars across the ends of a length, so that they can be seen on any tissue. */
function ends(a: Point, b: Point, look: Look): Shape[] {
  const long = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
  const across: Point = [(-(b[1] - a[1]) / long) * 6, ((b[0] - a[0]) / long) * 6];
  return [a, b].map((end) => ({
    kind: "line",
    look,
    closed: false,
    points: [
      [end[0] - across[0], end[1] - across[1]],
      [end[0] + across[0], end[1] + across[1]],
    ],
  }));
}

/** Words at the outer side of some points; none if the points lie outside the pane. */
function wordsBeside(points: readonly Point[], look: Look, text: string, sheet: Sheet): Shape[] {
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const [left, right, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys)];
  const isSeen = right >= 0 && left <= sheet.width && Math.max(...ys) >= 0 && top <= sheet.height;
  if (!isSeen) return [];
  const before = sheet.outer === "left";
  return [{ kind: "words", look, at: [before ? left - 10 : right + 10, top + 6], text, before }];
}

/** The AI's findings: closed lines, or the box where no line is known, each with its strength. */
export function findingShapes(
  image: AiImage,
  words: (score: number) => string,
  sheet: Sheet,
): Shape[] {
  return image.findings.flatMap((finding) => {
    const [row0, column0, row1, column1] = finding.box;
    const box: readonly Point[] = [
      [column0, row0],
      [column1, row0],
      [column1, row1],
      [column0, row1],
    ];
    const look: Look = finding.score >= STRONG ? "ai-strong" : "ai";
    const outlines = finding.outlines.length > 0 ? finding.outlines : [box];
    const lines = outlines.map((line) => line.map(sheet.toPane));
    return [
      ...lines.map((points): Shape => ({ kind: "line", look, points, closed: true })),
      ...wordsBeside(lines.flat(), look, words(finding.score), sheet),
    ];
  });
}

/** From twice the level on, lines are drawn thicker, as in `mammolens` pictures. */
const STRONG = 2;

/** Contours of the map at a threshold and at twice that. */
export function contourShapes(grid: StrengthGrid, threshold: number, sheet: Sheet): Shape[] {
  const levels: readonly (readonly [number, Look])[] = [
    [threshold, "contour"],
    [2 * threshold, "contour-strong"],
  ];
  return levels.map(([level, look]) => {
    const source = contours(grid, level);
    const pieces = new Array<number>(source.length);
    for (let i = 0; i < source.length; i += 2) {
      const [x, y] = sheet.toPane([source[i], source[i + 1]]);
      pieces[i] = x;
      pieces[i + 1] = y;
    }
    return { kind: "pieces", look, pieces };
  });
}
