/** The frame of one place: canvas, tint, shapes, words in the corners, or the name of what is missing. */

import type { AiImage } from "../exam";
import type { Words } from "../messages/text";
import { type StrengthGrid, sampleMap, tint } from "../overlay/map";
import {
  contourShapes,
  findingShapes,
  markShapes,
  type Shape,
  type Sheet,
} from "../overlay/shapes";
import type { PaneScene, Rect, Scene, Shown } from "../scene";
import { toPane } from "../scene";
import { lookOf, type ViewerState } from "../state";
import { type CornerLine, lowerLines, type Progress, upperLines, viewWords } from "./corner";
import { element, svgElement } from "./dom";
import { locatorShapes } from "./locator";
import { markWords } from "./mark_words";
import { drawShapes } from "./overlay_svg";

export interface Pane {
  readonly element: HTMLElement;
  show(state: ViewerState, scene: Scene, pane: PaneScene, film: PaneFilm | null): void;
}

export interface PaneFilm {
  readonly canvas: HTMLCanvasElement;
  readonly progress: Progress;
}

export function makePane(words: Words): Pane {
  const host = element("div", { class: "film" });
  const tintCanvas = element("canvas", { class: "tint", "aria-hidden": "true" });
  const svg = svgElement("svg", { class: "shapes", "aria-hidden": "true" });
  const upper = element("div", { class: "corner upper" });
  const lower = element("div", { class: "corner lower" });
  const missing = element("div", { class: "missing" });
  const root = element("section", { class: "pane" }, host, tintCanvas, svg, upper, lower, missing);
  let tinted = "";
  let rect: Rect | null = null;

  return {
    element: root,
    show(state, scene, pane, film) {
      const ratio = window.devicePixelRatio;
      const { width, height } = pane.rect;
      if (rect !== pane.rect) {
        rect = pane.rect;
        layOut(root, svg, rect, ratio);
      }
      root.classList.toggle("active", pane.index === state.active);
      root.classList.toggle("prior", pane.place.exam === "prior");
      root.setAttribute("aria-label", viewWords(pane.place, words));
      if (pane.shown === null || film === null) {
        host.replaceChildren();
        drawShapes(svg, [], { width, height, ratio });
        fill(upper, []);
        fill(lower, []);
        tintCanvas.hidden = true;
        tinted = "";
        missing.replaceChildren(...missingWords(pane, words));
        return;
      }
      missing.replaceChildren();
      if (host.firstChild !== film.canvas) host.replaceChildren(film.canvas);
      root.dataset.outer = outerSide(pane.shown);
      fill(upper, upperLines(state, pane, pane.shown, film.progress, words));
      fill(lower, lowerLines(state, scene, pane, pane.shown, words));
      drawShapes(svg, shapesOf(state, pane, pane.shown, words), { width, height, ratio });
      tinted = drawTint(tintCanvas, tinted, state, pane, pane.shown);
    },
  };
}

function layOut(root: HTMLElement, svg: SVGElement, rect: Rect, ratio: number): void {
  root.style.left = `${rect.left / ratio}px`;
  root.style.top = `${rect.top / ratio}px`;
  root.style.width = `${rect.width / ratio}px`;
  root.style.height = `${rect.height / ratio}px`;
  svg.setAttribute("viewBox", `0 0 ${rect.width} ${rect.height}`);
}

/** The side of the screen away from the chest wall. */
function outerSide({ hung }: Shown): "left" | "right" {
  return hung.hanging.chestWall === "left" ? "right" : "left";
}

function missingWords({ place }: PaneScene, words: Words): Node[] {
  const view = viewWords(place, words);
  const key = place.exam === "prior" ? "place.missing-prior" : "place.missing";
  const title =
    place.refused.length > 0
      ? `${view}: ${words.say("place.not-empty", { n: place.refused.length })}`
      : words.say(key, { view });
  const reasons = place.refused.map(({ reason }) => words.say("place.refused", { reason }));
  return [
    element("p", { class: "missing-title" }, title),
    ...reasons.map((reason) => element("p", {}, reason)),
  ];
}

function fill(corner: HTMLElement, lines: readonly CornerLine[]): void {
  const key = JSON.stringify(lines);
  if (corner.dataset.key === key) return;
  corner.dataset.key = key;
  corner.replaceChildren(...lines.map((line) => element("div", { class: line.tone }, line.text)));
}

function shapesOf(
  state: ViewerState,
  pane: PaneScene,
  shown: Shown,
  words: Words,
): readonly Shape[] {
  const { image } = shown;
  // What lies in the magnifier is elsewhere on the screen: shapes would point at the wrong tissue.
  if (isMagnified(state, pane)) return [];
  const sheet: Sheet = {
    width: pane.rect.width,
    height: pane.rect.height,
    outer: outerSide(shown),
    toPane: (point) => toPane(shown, point),
  };
  const { frame } = lookOf(state, image);
  const shapes: Shape[] = [];
  const ai = aiOf(state, pane, image.sopInstanceUid);
  if (ai !== null && state.layers.contours && ai.map !== null) {
    shapes.push(...contourShapes(gridOf(ai), state.layers.threshold, sheet));
  }
  if (ai !== null && state.layers.outlines) {
    const strength = (score: number) =>
      words.say("ai.strength", { strength: words.number(score, 1) });
    shapes.push(...findingShapes(ai, strength, sheet));
  }
  const here = (mark: { sopInstanceUid: string; frame: number }) =>
    mark.sopInstanceUid === image.sopInstanceUid && mark.frame === frame;
  if (state.layers.marks) {
    for (const { reader, mark } of state.others) {
      if (!here(mark)) continue;
      const look = mark.id === state.selected ? "selected" : "other";
      const said = [reader, markWords(mark, image, words)].filter(Boolean).join("\n");
      shapes.push(...markShapes(mark, look, said, sheet));
    }
    for (const mark of state.marks.marks) {
      if (!here(mark) || mark.id === state.draft?.id) continue;
      const look = mark.id === state.selected ? "selected" : "mark";
      shapes.push(...markShapes(mark, look, markWords(mark, image, words), sheet));
    }
  }
  if (state.draft !== null && here(state.draft)) {
    const said = markWords(state.draft, image, words);
    shapes.push(...markShapes(state.draft, "draft", said, sheet));
  }
  if (state.cursor !== null && pane.index === state.active) {
    shapes.push({ kind: "cross", look: "draft", at: state.cursor });
  }
  shapes.push(...locatorShapes(state, pane, shown));
  return shapes;
}

function isMagnified(state: ViewerState, pane: PaneScene): boolean {
  const byKey = state.tool === "magnifier" && state.cursor !== null && pane.index === state.active;
  return byKey || state.magnifier?.pane === pane.index;
}

/** What the AI says about a picture of the current exam; of a prior nothing is shown. */
function aiOf(state: ViewerState, pane: PaneScene, uid: string): AiImage | null {
  const { ai } = state.exam;
  if (ai.state !== "available" || pane.place.exam === "prior") return null;
  return ai.images.find((image) => image.sopInstanceUid === uid) ?? null;
}

const grids = new WeakMap<AiImage, StrengthGrid>();

function gridOf(ai: AiImage): StrengthGrid {
  const known = grids.get(ai);
  if (known !== undefined || ai.map === null) return known as StrengthGrid;
  const made = sampleMap(ai.map);
  grids.set(ai, made);
  return made;
}

/** Draws the tint where it changed; gives the key of what is drawn now. */
function drawTint(
  canvas: HTMLCanvasElement,
  before: string,
  state: ViewerState,
  pane: PaneScene,
  shown: Shown,
): string {
  const isShown = state.layers.tint && !isMagnified(state, pane);
  const image = isShown ? aiOf(state, pane, shown.image.sopInstanceUid) : null;
  canvas.hidden = !image?.map;
  if (!image?.map) return "";
  const { threshold, opacity } = state.layers;
  const key = JSON.stringify([image.sopInstanceUid, threshold, opacity, shown.placement]);
  if (key === before) return key;
  const grid = gridOf(image);
  const small = new OffscreenCanvas(grid.columns, grid.rows);
  const rgba = new ImageData(grid.columns, grid.rows);
  rgba.data.set(tint(grid, threshold, opacity));
  small.getContext("2d")?.putImageData(rgba, 0, 0);
  canvas.width = shown.placement.width;
  canvas.height = shown.placement.height;
  const context = canvas.getContext("2d");
  const [o, x, y] = (
    [
      [0, 0],
      [1, 0],
      [0, 1],
    ] as const
  ).map((point) => toPane(shown, point));
  context?.setTransform(x[0] - o[0], x[1] - o[1], y[0] - o[0], y[1] - o[1], o[0], o[1]);
  const [left, top] = [grid.origin[0] - grid.step / 2, grid.origin[1] - grid.step / 2];
  context?.drawImage(small, left, top, grid.columns * grid.step, grid.rows * grid.step);
  return key;
}
