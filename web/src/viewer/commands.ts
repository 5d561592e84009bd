/**
 * What a key, a button or the wheel does: (state, scene) → next state. Each has an id, by which
 * `tools/keys` binds keys and the message files name it (`command.<id>`).
 */

import type { ExamImage } from "./exam";
import {
  type Camera,
  HOME,
  pannedBy,
  zoomedAt,
  zoomOneToOne,
  zoomTrueSize,
} from "./geometry/camera";
import { fields } from "./geometry/tiles";
import { hangingSteps } from "./hanging";
import type { PaneScene, Scene, Shown } from "./scene";
import {
  cameraOf,
  type Layers,
  lookOf,
  placeKey,
  type Tool,
  type ViewerState,
  withCamera,
  withLook,
} from "./state";
import { redone, undone, withoutMark } from "./tools/marks";
import { adjusted } from "./window";

export type Command = (state: ViewerState, scene: Scene) => ViewerState;

export const COMMANDS = {
  next: stepBy(1),
  previous: stepBy(-1),
  "next-exam": (s) => ({ ...s, leave: "next" }),
  "previous-exam": (s) => ({ ...s, leave: "previous" }),
  "four-up": toStep("four-up"),
  "right-pair": toStep("right-pair"),
  "left-pair": toStep("left-pair"),
  "cc-pair": toStep("cc-pair"),
  "mlo-pair": toStep("mlo-pair"),
  "field-step": toFields,
  prior: togglePrior,
  "next-pane": (s, scene) => ({ ...s, active: (s.active + 1) % scene.panes.length, cursor: null }),
  "next-picture": pictureBy(1),
  "previous-picture": pictureBy(-1),
  "frame-up": (s, scene) => frameBy(s, activePane(s, scene), -1),
  "frame-down": (s, scene) => frameBy(s, activePane(s, scene), 1),

  "zoom-in": zoomBy(1.25),
  "zoom-out": zoomBy(1 / 1.25),
  whole: (s) => ({ ...s, camera: HOME, ownCameras: {} }),
  "one-to-one": oneToOne,
  "true-size": trueSize,
  "fit-breast": (s) => ({
    ...s,
    fit: s.fit === "breast" ? "picture" : "breast",
    camera: HOME,
    ownCameras: {},
  }),
  "pan-left": moveBy(1, 0),
  "pan-right": moveBy(-1, 0),
  "pan-up": moveBy(0, 1),
  "pan-down": moveBy(0, -1),
  link: (s) => ({ ...s, linked: !s.linked, ownCameras: {} }),

  "window-wider": (s, scene) => adjustWindow(s, scene, 0.1, 0),
  "window-narrower": (s, scene) => adjustWindow(s, scene, -0.1, 0),
  brighter: (s, scene) => adjustWindow(s, scene, 0, -0.05),
  darker: (s, scene) => adjustWindow(s, scene, 0, 0.05),
  preset: nextPreset,
  invert: (s) => ({ ...s, invert: !s.invert }),
  reset: (s) => ({ ...s, camera: HOME, ownCameras: {}, looks: keptFrames(s), invert: false }),

  outlines: toggle("outlines"),
  contours: toggle("contours"),
  tint: toggle("tint"),
  marks: toggle("marks"),
  "threshold-up": (s) => withLayers(s, { threshold: Math.min(4, s.layers.threshold + 0.25) }),
  "threshold-down": (s) => withLayers(s, { threshold: Math.max(0.25, s.layers.threshold - 0.25) }),

  "tool-window": pick("window"),
  "tool-pan": pick("pan"),
  "tool-zoom": pick("zoom"),
  "tool-magnifier": pick("magnifier"),
  "tool-length": pick("length"),
  "tool-point": pick("point"),
  "tool-ellipse": pick("ellipse"),
  "tool-arrow": pick("arrow"),
  "tool-text": pick("text"),
  undo: (s) => ({ ...s, marks: undone(s.marks), selected: null, draft: null }),
  redo: (s) => ({ ...s, marks: redone(s.marks), selected: null, draft: null }),
  delete: (s) =>
    s.selected === null ? s : { ...s, marks: withoutMark(s.marks, s.selected), selected: null },
  cancel: (s) => ({
    ...s,
    draft: null,
    selected: null,
    cursor: null,
    magnifier: null,
    tool: "window",
  }),
} as const satisfies Record<string, Command>;

export type CommandId = keyof typeof COMMANDS;

export function activePane(state: ViewerState, scene: Scene): PaneScene {
  return scene.panes[Math.min(state.active, scene.panes.length - 1)];
}

/** Moves through the frames of a stack. */
export function frameBy(state: ViewerState, pane: PaneScene, by: number): ViewerState {
  const image = pane.shown?.image;
  if (image === undefined) return state;
  const frame = Math.min(Math.max(lookOf(state, image).frame + by, 1), image.frames);
  return withLook(state, image, { frame });
}

/** Changes the window of all panes, or of the active one where they are not linked. */
export function adjustWindow(
  state: ViewerState,
  scene: Scene,
  across: number,
  down: number,
): ViewerState {
  return windowedImages(state, scene).reduce(
    (next, image) =>
      withLook(next, image, { voi: adjusted(lookOf(next, image).voi, across, down) }),
    state,
  );
}

export function withLayers(state: ViewerState, changes: Partial<Layers>): ViewerState {
  return { ...state, layers: { ...state.layers, ...changes } };
}

/** Goes to a step; zoom and pan start again there. */
export function goTo(state: ViewerState, scene: Scene, step: number, field = 0): ViewerState {
  const next: ViewerState = {
    ...state,
    step,
    field,
    active: 0,
    camera: HOME,
    ownCameras: {},
    draft: null,
    selected: null,
    cursor: null,
    magnifier: null,
  };
  return state.step === step ? inField(next, scene) : next;
}

/** The camera of the current field. The scene must be that of the current step. */
export function inField(state: ViewerState, scene: Scene): ViewerState {
  if (state.steps[state.step].kind !== "fields") return state;
  const all = fieldsOf(scene);
  if (all.length === 0) return state;
  const camera = all[Math.min(state.field, all.length - 1)];
  return { ...state, camera, ownCameras: {} };
}

/** All fields of the picture that a step of fields shows: the current one, not its prior. */
export function fieldsOf(scene: Scene): readonly Camera[] {
  const pane = scene.panes.find((one) => one.place.exam === "current" && one.shown !== null);
  return pane?.shown ? fields(scene.fit, pane.rect, pane.shown.hung) : [];
}

function stepBy(by: 1 | -1): Command {
  return (state, scene) => {
    if (state.steps[state.step].kind === "fields") {
      const field = state.field + by;
      if (field >= 0 && field < fieldsOf(scene).length)
        return goTo(state, scene, state.step, field);
    }
    const step = state.step + by;
    if (step < 0) return { ...state, leave: "previous" };
    if (step >= state.steps.length) return { ...state, leave: "next" };
    return goTo(state, scene, step);
  };
}

function toStep(id: string): Command {
  return (state, scene) => {
    const step = state.steps.findIndex((one) => one.id === id);
    return step < 0 ? state : goTo(state, scene, step);
  };
}

/** The fields of the picture in the active pane. */
function toFields(state: ViewerState, scene: Scene): ViewerState {
  const uid = activePane(state, scene).shown?.image.sopInstanceUid;
  const step = state.steps.findIndex(
    ({ kind, places }) =>
      kind === "fields" && places.some(({ images }) => images[0]?.sopInstanceUid === uid),
  );
  return uid === undefined || step < 0 ? state : goTo(state, scene, step);
}

function togglePrior(state: ViewerState): ViewerState {
  if (state.prior === null) return state;
  const showPrior = !state.showPrior;
  const steps = hangingSteps(state.exam, showPrior ? state.prior : null);
  return { ...state, showPrior, steps, active: 0, camera: HOME, ownCameras: {}, cursor: null };
}

function pictureBy(by: number): Command {
  return (state, scene) => {
    const { place } = activePane(state, scene);
    if (place.images.length < 2) return state;
    const key = placeKey(place);
    const at = ((state.chosen[key] ?? 0) + by + place.images.length) % place.images.length;
    return { ...state, chosen: { ...state.chosen, [key]: at } };
  };
}

function ofShown(
  change: (state: ViewerState, pane: PaneScene, shown: Shown, scene: Scene) => ViewerState,
): Command {
  return (state, scene) => {
    const pane = activePane(state, scene);
    return pane.shown === null ? state : change(state, pane, pane.shown, scene);
  };
}

function zoomBy(factor: number): Command {
  return ofShown((state, pane, shown, scene) => {
    const camera = cameraOf(state, pane.index);
    const at = state.cursor ?? [pane.rect.width / 2, pane.rect.height / 2];
    const zoomed = zoomedAt(camera, scene.fit, pane.rect, shown.hung, at, camera.zoom * factor);
    return withCamera(state, pane.index, zoomed);
  });
}

function moveBy(x: number, y: number): Command {
  return ofShown((state, pane, shown, scene) => {
    const far = Math.min(pane.rect.width, pane.rect.height) / 8;
    const camera = cameraOf(state, pane.index);
    const moved = pannedBy(camera, scene.fit, shown.hung, x * far, y * far);
    return withCamera(state, pane.index, moved);
  });
}

function oneToOne(state: ViewerState, scene: Scene): ViewerState {
  return ofShown((_, pane, shown) => {
    const zoom = zoomOneToOne(scene.fit, shown.hung);
    return withCamera(state, pane.index, { ...cameraOf(state, pane.index), zoom });
  })(state, scene);
}

function trueSize(state: ViewerState, scene: Scene): ViewerState {
  const zoom = zoomTrueSize(scene.fit, scene.unit, state.screen);
  if (zoom === null) return state;
  const pane = activePane(state, scene).index;
  return withCamera(state, pane, { ...cameraOf(state, pane), zoom });
}

/** The next grey scale of the header, in every picture that has as many. */
function nextPreset(state: ViewerState, scene: Scene): ViewerState {
  return windowedImages(state, scene).reduce((next, image) => {
    const preset = (lookOf(next, image).preset + 1) % image.voi.length;
    return withLook(next, image, { preset, voi: image.voi[preset] });
  }, state);
}

function windowedImages(state: ViewerState, scene: Scene): readonly ExamImage[] {
  const panes = state.linked ? scene.panes : [activePane(state, scene)];
  return panes.flatMap(({ shown }) => (shown === null ? [] : [shown.image]));
}

function keptFrames(state: ViewerState): ViewerState["looks"] {
  const images = [...state.exam.images, ...(state.prior?.images ?? [])];
  const kept = images.filter((image) => image.sopInstanceUid in state.looks);
  return Object.fromEntries(
    kept.map((image) => [
      image.sopInstanceUid,
      { voi: image.voi[0], preset: 0, frame: lookOf(state, image).frame },
    ]),
  );
}

function toggle(layer: "outlines" | "contours" | "tint" | "marks"): Command {
  return (state) => withLayers(state, { [layer]: !state.layers[layer] });
}

function pick(tool: Tool): Command {
  return (state) => ({ ...state, tool, draft: null, magnifier: null });
}
