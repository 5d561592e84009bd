/**
 * Everything the viewer shows, as one value that is never changed in place. `commands` and
 * `tools/gestures` make the next one; the user interface only draws it.
 */

import type { Exam, ExamImage, Point, Voi } from "./exam";
import { type Camera, HOME } from "./geometry/camera";
import { hangingSteps, type Place, type Step } from "./hanging";
import { firstFrame } from "./loading/prefetch";
import { emptyHistory, type Mark, type MarkHistory, type MarkKind } from "./tools/marks";

export type Tool = "window" | "pan" | "zoom" | "magnifier" | MarkKind;

export interface Layers {
  readonly outlines: boolean;
  readonly contours: boolean;
  readonly tint: boolean;
  readonly marks: boolean;
  /** From which strength on the map is shown; 1 is the level from which a finding counts. */
  readonly threshold: number;
  /** Of the tint, 0–1. */
  readonly opacity: number;
}

/** How one picture is shown; kept while the exam is open, whatever step shows it. */
export interface Look {
  readonly voi: Voi;
  /** Which of the image's grey scales `voi` comes from. */
  readonly preset: number;
  readonly frame: number;
}

export interface ViewerState {
  readonly exam: Exam;
  readonly prior: Exam | null;
  /** Why the prior that the exam names cannot be shown; null if it can, or there is none. */
  readonly priorProblem: string | null;
  readonly showPrior: boolean;
  readonly steps: readonly Step[];
  readonly step: number;
  /** In a step of fields, which of them. */
  readonly field: number;
  /** Which picture of a place is shown, by `placeKey`. */
  readonly chosen: Readonly<Record<string, number>>;
  readonly active: number;
  readonly linked: boolean;
  readonly camera: Camera;
  /** Cameras of panes that were moved alone, by pane. */
  readonly ownCameras: Readonly<Record<number, Camera>>;
  readonly fit: "picture" | "breast";
  readonly looks: Readonly<Record<string, Look>>;
  readonly invert: boolean;
  readonly tool: Tool;
  readonly layers: Layers;
  readonly marks: MarkHistory;
  /** Marks of other readers, which cannot be changed here. */
  readonly others: readonly OtherMark[];
  readonly selected: string | null;
  readonly draft: Mark | null;
  readonly magnifier: { readonly pane: number; readonly at: Point } | null;
  /** The keyboard's pointer in the active pane, in device pixels of the pane. */
  readonly cursor: Point | null;
  /** Device pixels per millimetre of this screen; null until it was calibrated. */
  readonly screen: number | null;
  /** The reader wants to leave the exam. */
  readonly leave: "next" | "previous" | null;
}

export interface OtherMark {
  readonly reader: string;
  readonly mark: Mark;
}

export const LAYERS: Layers = {
  outlines: true,
  contours: false,
  tint: false,
  marks: true,
  threshold: 1,
  opacity: 0.35,
};

export function openExam(
  exam: Exam,
  prior: Exam | null,
  kept: { marks?: readonly Mark[]; screen?: number | null; fit?: ViewerState["fit"] } = {},
): ViewerState {
  return {
    exam,
    prior,
    priorProblem: null,
    showPrior: false,
    steps: hangingSteps(exam, null),
    step: 0,
    field: 0,
    chosen: {},
    active: 0,
    linked: true,
    camera: HOME,
    ownCameras: {},
    fit: kept.fit ?? "picture",
    looks: {},
    invert: false,
    tool: "window",
    layers: LAYERS,
    marks: emptyHistory(kept.marks),
    others: [],
    selected: null,
    draft: null,
    magnifier: null,
    cursor: null,
    screen: kept.screen ?? null,
    leave: null,
  };
}

export function placeKey(place: Place): string {
  return `${place.exam} ${place.laterality} ${place.viewPosition}`;
}

/** The picture that a place shows now; null if it has none. */
export function imageAt(state: ViewerState, place: Place): ExamImage | null {
  if (place.images.length === 0) return null;
  return place.images[(state.chosen[placeKey(place)] ?? 0) % place.images.length];
}

export function lookOf(state: ViewerState, image: ExamImage): Look {
  return (
    state.looks[image.sopInstanceUid] ?? { voi: image.voi[0], preset: 0, frame: firstFrame(image) }
  );
}

export function withLook(
  state: ViewerState,
  image: ExamImage,
  changes: Partial<Look>,
): ViewerState {
  const look = { ...lookOf(state, image), ...changes };
  return { ...state, looks: { ...state.looks, [image.sopInstanceUid]: look } };
}

export function cameraOf(state: ViewerState, pane: number): Camera {
  return state.ownCameras[pane] ?? state.camera;
}

/** One camera for all panes where they are linked, else one for this pane. */
export function withCamera(state: ViewerState, pane: number, camera: Camera): ViewerState {
  if (state.linked) return { ...state, camera, ownCameras: {} };
  return { ...state, ownCameras: { ...state.ownCameras, [pane]: camera } };
}

/** Selects a mark, in the first step that shows its picture. */
export function withMarkShown(state: ViewerState, id: string): ViewerState {
  const mark =
    state.marks.marks.find((one) => one.id === id) ??
    state.others.find((one) => one.mark.id === id)?.mark;
  if (mark === undefined) return state;
  const at = (place: Place) =>
    place.images.findIndex((image) => image.sopInstanceUid === mark.sopInstanceUid);
  const here = state.steps[state.step].places.some((place) => at(place) >= 0);
  const step = here
    ? state.step
    : state.steps.findIndex((one) => one.places.some((place) => at(place) >= 0));
  if (step < 0) return state;
  const active = state.steps[step].places.findIndex((place) => at(place) >= 0);
  const place = state.steps[step].places[active];
  const chosen = { ...state.chosen, [placeKey(place)]: at(place) };
  const layers = { ...state.layers, marks: true };
  return { ...state, step, active, chosen, layers, selected: id };
}
