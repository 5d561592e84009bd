/** Shapes → SVG. Each line is drawn twice: a dark halo, then the line, so that it shows on any grey. */

import type { Point } from "../exam";
import type { Shape } from "../overlay/shapes";
import { svgElement } from "./dom";

/** Replaces what the SVG shows. Its coordinates are device pixels of the pane. */
export function drawShapes(svg: SVGElement, shapes: readonly Shape[], pixelRatio: number): void {
  const group = (look: string, ...children: SVGElement[]) =>
    svgElement("g", { class: `look-${look}` }, ...children);
  svg.replaceChildren(
    ...shapes.map((shape) => group(shape.look, ...elementsOf(shape, pixelRatio))),
  );
}

function elementsOf(shape: Shape, ratio: number): SVGElement[] {
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
      return shape.text
        .split("\n")
        .map((line, i) =>
          svgElement(
            "text",
            { x: shape.at[0], y: shape.at[1] + 17 * ratio * i, "font-size": 14 * ratio },
            line,
          ),
        );
  }
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
