/** Shapes → SVG. Each line is drawn twice: a dark halo, then the line, so that it shows on any grey. */

import type { Point } from "../exam";
import type { Shape } from "../overlay/shapes";
import { svgElement } from "./dom";

/** The pane that is drawn in: its size in device pixels, and how many of them make a CSS pixel. */
export interface Screen {
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
}

/** Replaces what the SVG shows. Its coordinates are device pixels of the pane. */
export function drawShapes(svg: SVGElement, shapes: readonly Shape[], screen: Screen): void {
  // Comparing words is much cheaper than drawing again what has not changed.
  const key = JSON.stringify([shapes, screen]);
  if (drawnKeys.get(svg) === key) return;
  drawnKeys.set(svg, key);
  const group = (look: string, ...children: SVGElement[]) =>
    svgElement("g", { class: `look-${look}` }, ...children);
  const taken: Area[] = [];
  svg.replaceChildren(
    ...shapes.map((shape) => group(shape.look, ...elementsOf(shape, screen, taken))),
  );
}

const drawnKeys = new WeakMap<SVGElement, string>();

function elementsOf(shape: Shape, screen: Screen, taken: Area[]): SVGElement[] {
  const { ratio } = screen;
  switch (shape.kind) {
    case "line":
      return haloed(shape.closed ? "polygon" : "polyline", {
        points: shape.points.map(pair).join(" "),
      });
    case "pieces":
      return haloed("path", { d: pathOf(shape.pieces) });
    case "ellipse":
      return haloed("ellipse", {
        cx: shape.center[0],
        cy: shape.center[1],
        rx: shape.radius[0],
        ry: shape.radius[1],
      });
    case "cross": {
      const [x, y] = shape.at;
      const arm = 9 * ratio;
      const gap = 3 * ratio;
      const d = [
        [x - arm, y, x - gap, y],
        [x + gap, y, x + arm, y],
        [x, y - arm, x, y - gap],
        [x, y + gap, x, y + arm],
      ].map(([a, b, c, e]) => `M${a} ${b}L${c} ${e}`);
      return haloed("path", { d: d.join("") });
    }
    case "arrow":
      return haloed("path", { d: arrowPath(shape.from, shape.to, 14 * ratio) });
    case "handle":
      return [
        svgElement("circle", { class: "handle", cx: shape.at[0], cy: shape.at[1], r: 4 * ratio }),
      ];
    case "words":
      return wordElements(shape, screen, taken);
  }
}

const LETTER_PX = 14;
const LINE_PX = 17;
/** Widest average letter of the fonts used, as a share of their size. */
const LETTER_WIDTH = 0.62;

/** Where words stand already: left, top, right, bottom. */
type Area = readonly [number, number, number, number];

/** Lines of text, moved so far that none leaves the pane, and below words that are there already. */
function wordElements(
  shape: Shape & { kind: "words" },
  screen: Screen,
  taken: Area[],
): SVGElement[] {
  const { ratio } = screen;
  const lines = shape.text.split("\n");
  const longest = Math.max(...lines.map((line) => line.length));
  const wide = longest * LETTER_PX * LETTER_WIDTH * ratio;
  const high = lines.length * LINE_PX * ratio;
  const start = shape.before ? shape.at[0] - wide : shape.at[0];
  const left = Math.max(4, Math.min(start, screen.width - wide - 4));
  const wanted = Math.max(LINE_PX * ratio, Math.min(shape.at[1], screen.height - high));
  const top = freeBelow(wanted, [left, wide], high, taken);
  taken.push([left, top, left + wide, top + high]);
  return lines.map((line, i) =>
    svgElement(
      "text",
      {
        x: shape.before ? left + wide : left,
        y: top + LINE_PX * ratio * i,
        "font-size": LETTER_PX * ratio,
        "text-anchor": shape.before ? "end" : "start",
      },
      line,
    ),
  );
}

/** The first place from a height on where words of a size meet no others. */
export function freeBelow(
  wanted: number,
  [left, wide]: readonly [number, number],
  high: number,
  taken: readonly Area[],
): number {
  let top = wanted;
  for (const [l, t, r, b] of [...taken].sort((one, other) => one[1] - other[1])) {
    const meets = left < r && left + wide > l && top < b && top + high > t;
    if (meets) top = b;
  }
  return top;
}

function haloed(tag: string, attributes: Readonly<Record<string, string | number>>): SVGElement[] {
  return [
    svgElement(tag, { ...attributes, class: "halo" }),
    svgElement(tag, { ...attributes, class: "line" }),
  ];
}

function pair([x, y]: Point): string {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

function pathOf(pieces: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i + 3 < pieces.length; i += 4) {
    const [a, b, c, d] = pieces.slice(i, i + 4).map((value) => value.toFixed(1));
    parts.push(`M${a} ${b}L${c} ${d}`);
  }
  return parts.join("");
}

function arrowPath(from: Point, to: Point, head: number): string {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const wing = (turn: number) =>
    `${to[0] - head * Math.cos(angle + turn)} ${to[1] - head * Math.sin(angle + turn)}`;
  return `M${from[0]} ${from[1]}L${to[0]} ${to[1]}M${wing(0.45)}L${to[0]} ${to[1]}L${wing(-0.45)}`;
}
