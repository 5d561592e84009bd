/** A state on a screen of some size: which picture lies where in each pane. Pure. */

import type { ExamImage, Point } from "./exam";
import {
  commonUnit,
  fitScale,
  type HungImage,
  hangImage,
  type PaneSize,
  paneToSource,
  place,
  sourceToPane,
  type Unit,
} from "./geometry/camera";
import type { Place } from "./hanging";
import type { Placement } from "./resample";
import { cameraOf, imageAt, type ViewerState } from "./state";

/** A rectangle of the screen in device pixels. */
export interface Rect extends PaneSize {
  readonly left: number;
  readonly top: number;
}

export interface PaneScene {
  readonly index: number;
  readonly place: Place;
  readonly rect: Rect;
  readonly shown: Shown | null;
}

export interface Shown {
  readonly image: ExamImage;
  readonly hung: HungImage;
  readonly placement: Placement;
}

export interface Scene {
  readonly panes: readonly PaneScene[];
  /** Device pixels per common unit at zoom 1. */
  readonly fit: number;
  readonly unit: Unit;
}

/** Between panes that belong together, in device pixels. */
const GAP = 2;

export function sceneOf(state: ViewerState, size: PaneSize): Scene {
  const step = state.steps[state.step];
  const rects = gridOf(size, step.columns, Math.ceil(step.places.length / step.columns));
  const images = step.places.map((one) => imageAt(state, one));
  const unit = commonUnit(images.filter((image) => image !== null));
  const hung = images.map((image) => image && hangImage(image, unit, state.fit));
  const fit = fitScale(
    hung.flatMap((one, i) => (one === null ? [] : [{ size: rects[i], hung: one }])),
  );
  const panes = step.places.map((one, index): PaneScene => {
    const hungImage = hung[index];
    const shown = hungImage && {
      image: hungImage.image,
      hung: hungImage,
      placement: place(cameraOf(state, index), fit, rects[index], hungImage),
    };
    return { index, place: one, rect: rects[index], shown };
  });
  return { panes, fit, unit };
}

export function toSource(shown: Shown, at: Point): Point {
  return paneToSource(at, shown.placement, shown.hung);
}

export function toPane(shown: Shown, source: Point): Point {
  return sourceToPane(source, shown.placement, shown.hung);
}

/** Source pixels per device pixel, for how near a pointer must come. */
export function sourcePerPixel(shown: Shown): number {
  return 1 / Math.min(shown.placement.scaleX, shown.placement.scaleY);
}

function gridOf(size: PaneSize, columns: number, rows: number): readonly Rect[] {
  const edges = (extent: number, count: number) =>
    Array.from({ length: count }, (_, i) => {
      const from = Math.round((i * (extent + GAP)) / count);
      const to = Math.round(((i + 1) * (extent + GAP)) / count) - GAP;
      return [from, Math.max(1, to - from)] as const;
    });
  const across = edges(size.width, columns);
  return edges(size.height, rows).flatMap(([top, height]) =>
    across.map(([left, width]) => ({ left, top, width, height })),
  );
}
