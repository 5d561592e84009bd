/**
 * What a pointer does between press and release. Pure: positions in device pixels of a pane in, the
 * next state out.
 *
 * Left button: the chosen tool, or a mark under the pointer. Right: window. Middle: pan.
 */

import { adjustWindow } from "../commands";
import type { Point } from "../exam";
import { type Camera, pannedBy, zoomedAt } from "../geometry/camera";
import { type PaneScene, type Scene, type Shown, sourcePerPixel, toSource } from "../scene";
import { cameraOf, lookOf, type ViewerState, withCamera } from "../state";
import { type Hit, type Mark, type MarkKind, markAt, moved, POINTS_OF, withMark } from "./marks";

export type Gesture =
  | { readonly kind: "window"; readonly last: Point }
  | { readonly kind: "pan"; readonly pane: number; readonly last: Point }
  | {
      readonly kind: "zoom";
      readonly pane: number;
      readonly start: Point;
      readonly camera: Camera;
    }
  | { readonly kind: "magnify"; readonly pane: number }
  | { readonly kind: "draw"; readonly pane: number }
  | {
      readonly kind: "move";
      readonly pane: number;
      readonly start: Point;
      readonly mark: Mark;
      readonly handle: number | null;
    };

export interface Press {
  readonly pane: number;
  readonly at: Point;
  /** 0 left, 1 middle, 2 right, as in PointerEvent. */
  readonly button: number;
  /** An id for a mark that may be begun. */
  readonly newId: string;
}

/** How near the pointer must come to a mark, in device pixels. */
const REACH = 10;

export function begin(
  state: ViewerState,
  scene: Scene,
  press: Press,
): { readonly state: ViewerState; readonly gesture: Gesture | null } {
  const pane = scene.panes[press.pane];
  const next: ViewerState = { ...state, active: press.pane, cursor: null };
  const shown = pane.shown;
  if (shown === null) return { state: next, gesture: null };
  if (press.button === 2) return { state: next, gesture: { kind: "window", last: press.at } };
  if (press.button === 1) {
    return { state: next, gesture: { kind: "pan", pane: press.pane, last: press.at } };
  }
  const hit = state.draft === null && state.layers.marks ? hitAt(state, shown, press.at) : null;
  if (hit !== null) return grab(next, shown, press, hit);
  switch (state.tool) {
    case "window":
      return {
        state: { ...next, selected: null },
        gesture: { kind: "window", last: press.at },
      };
    case "pan":
      return { state: next, gesture: { kind: "pan", pane: press.pane, last: press.at } };
    case "zoom": {
      const camera = cameraOf(state, press.pane);
      return { state: next, gesture: { kind: "zoom", pane: press.pane, start: press.at, camera } };
    }
    case "magnifier":
      return {
        state: { ...next, magnifier: { pane: press.pane, at: press.at } },
        gesture: { kind: "magnify", pane: press.pane },
      };
    default:
      return startMark(next, pane, shown, state.tool, press);
  }
}

export function move(
  state: ViewerState,
  scene: Scene,
  gesture: Gesture,
  at: Point,
): { readonly state: ViewerState; readonly gesture: Gesture } {
  switch (gesture.kind) {
    case "window": {
      const [dx, dy] = [at[0] - gesture.last[0], at[1] - gesture.last[1]];
      const next = adjustWindow(state, scene, dx * WINDOW_STEP, dy * WINDOW_STEP);
      return { state: next, gesture: { ...gesture, last: at } };
    }
    case "pan": {
      const pane = scene.panes[gesture.pane];
      if (pane.shown === null) return { state, gesture };
      const [dx, dy] = [at[0] - gesture.last[0], at[1] - gesture.last[1]];
      const camera = pannedBy(cameraOf(state, pane.index), scene.fit, pane.shown.hung, dx, dy);
      return { state: withCamera(state, pane.index, camera), gesture: { ...gesture, last: at } };
    }
    case "zoom": {
      const pane = scene.panes[gesture.pane];
      if (pane.shown === null) return { state, gesture };
      const zoom = gesture.camera.zoom * Math.exp((gesture.start[1] - at[1]) * ZOOM_STEP);
      const { hung } = pane.shown;
      const camera = zoomedAt(gesture.camera, scene.fit, pane.rect, hung, gesture.start, zoom);
      return { state: withCamera(state, pane.index, camera), gesture };
    }
    case "magnify":
      return { state: { ...state, magnifier: { pane: gesture.pane, at } }, gesture };
    case "draw":
      return { state: withDraftEnd(state, scene, at), gesture };
    case "move": {
      const shown = scene.panes[gesture.pane].shown;
      if (shown === null) return { state, gesture };
      const [from, to] = [toSource(shown, gesture.start), toSource(shown, at)];
      const draft = moved(gesture.mark, [to[0] - from[0], to[1] - from[1]], gesture.handle);
      return { state: { ...state, draft }, gesture };
    }
  }
}

/** Share of the window per device pixel of dragging: a pane's width doubles it about twice. */
const WINDOW_STEP = 0.004;
const ZOOM_STEP = 0.005;

export function end(state: ViewerState, gesture: Gesture): ViewerState {
  if (gesture.kind === "magnify") return { ...state, magnifier: null };
  if (gesture.kind !== "draw" && gesture.kind !== "move") return state;
  const { draft } = state;
  if (draft === null) return state;
  // A press without a drag leaves the second point open: the next press sets it.
  if (gesture.kind === "draw" && isDot(draft)) return state;
  if (gesture.kind === "move" && samePoints(draft, gesture.mark)) return { ...state, draft: null };
  return finished(state);
}

/** Follows the pointer between two presses, and moves nothing else. */
export function hover(state: ViewerState, scene: Scene, pane: number, at: Point): ViewerState {
  if (state.draft === null || pane !== state.active) return state;
  return withDraftEnd(state, scene, at);
}

/** Sets a point where the keyboard's pointer is. */
export function pressKey(state: ViewerState, scene: Scene, newId: string): ViewerState {
  if (state.cursor === null) return state;
  const press: Press = { pane: state.active, at: state.cursor, button: 0, newId };
  const begun = begin(state, scene, press);
  const next = begun.gesture === null ? begun.state : end(begun.state, begun.gesture);
  return { ...next, cursor: state.cursor };
}

/** Moves the keyboard's pointer, from the middle of the pane at first. */
export function moveCursor(state: ViewerState, scene: Scene, by: Point): ViewerState {
  const { rect } = scene.panes[state.active];
  const [x, y] = state.cursor ?? [rect.width / 2, rect.height / 2];
  const cursor: Point = [
    Math.min(Math.max(x + by[0], 0), rect.width - 1),
    Math.min(Math.max(y + by[1], 0), rect.height - 1),
  ];
  return withDraftEnd({ ...state, cursor }, scene, cursor);
}

function startMark(
  state: ViewerState,
  pane: PaneScene,
  shown: Shown,
  kind: MarkKind,
  press: Press,
): { readonly state: ViewerState; readonly gesture: Gesture | null } {
  const at = toSource(shown, press.at);
  if (state.draft !== null && state.draft.sopInstanceUid === shown.image.sopInstanceUid) {
    return { state: finished(withEnd(state, state.draft, at)), gesture: null };
  }
  const draft: Mark = {
    id: press.newId,
    sopInstanceUid: shown.image.sopInstanceUid,
    frame: lookOf(state, shown.image).frame,
    kind,
    points: POINTS_OF[kind] === 1 ? [at] : [at, at],
    text: "",
    descriptors: null,
  };
  const next = { ...state, draft, selected: null };
  if (POINTS_OF[kind] === 1) return { state: finished(next), gesture: null };
  return { state: next, gesture: { kind: "draw", pane: pane.index } };
}

function grab(
  state: ViewerState,
  shown: Shown,
  press: Press,
  hit: Hit,
): { readonly state: ViewerState; readonly gesture: Gesture | null } {
  const mark = state.marks.marks.find((one) => one.id === hit.id);
  if (mark === undefined || mark.sopInstanceUid !== shown.image.sopInstanceUid) {
    return { state, gesture: null };
  }
  return {
    state: { ...state, selected: hit.id },
    gesture: { kind: "move", pane: press.pane, start: press.at, mark, handle: hit.handle },
  };
}

function hitAt(state: ViewerState, shown: Shown, at: Point): Hit | null {
  const { frame } = lookOf(state, shown.image);
  const here = state.marks.marks.filter(
    (mark) => mark.sopInstanceUid === shown.image.sopInstanceUid && mark.frame === frame,
  );
  return markAt(here, toSource(shown, at), REACH * sourcePerPixel(shown));
}

function withDraftEnd(state: ViewerState, scene: Scene, at: Point): ViewerState {
  const shown = scene.panes[state.active]?.shown ?? null;
  if (state.draft === null || shown === null) return state;
  if (shown.image.sopInstanceUid !== state.draft.sopInstanceUid) return state;
  return withEnd(state, state.draft, toSource(shown, at));
}

function withEnd(state: ViewerState, draft: Mark, at: Point): ViewerState {
  return { ...state, draft: { ...draft, points: [draft.points[0], at] } };
}

function finished(state: ViewerState): ViewerState {
  if (state.draft === null) return state;
  const marks = withMark(state.marks, state.draft);
  return { ...state, marks, selected: state.draft.id, draft: null };
}

function isDot(mark: Mark): boolean {
  const [a, b] = mark.points;
  return b !== undefined && a[0] === b[0] && a[1] === b[1];
}

function samePoints(a: Mark, b: Mark): boolean {
  return a.points.every((p, i) => p[0] === b.points[i][0] && p[1] === b.points[i][1]);
}
