/** Pointer and wheel events of the panes → the next state. */

import { adjustWindow, frameBy } from "../commands";
import type { Point } from "../exam";
import { zoomedAt } from "../geometry/camera";
import type { Scene } from "../scene";
import { cameraOf, type ViewerState, withCamera } from "../state";
import { begin, end, type Gesture, hover, move } from "../tools/gestures";

/** What the events need of the viewer. */
export interface PointerHost {
  readonly state: ViewerState;
  readonly scene: Scene;
  /** Takes the next state; `moving` while the picture is on its way. */
  change(state: ViewerState, moving: boolean): void;
  newMarkId(): string;
}

export function listenToPointer(area: HTMLElement, host: PointerHost): void {
  let gesture: Gesture | null = null;
  let pane = 0;
  // Part of a notch of the wheel that has not moved a slice yet: touch pads send many small ones.
  let passed = 0;

  const place = (event: MouseEvent): Point => {
    const box = area.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  };
  const inPane = (index: number, at: Point): Point => {
    const { left, top } = host.scene.panes[index].rect;
    return [at[0] - left, at[1] - top];
  };
  const paneAt = ([x, y]: Point): number =>
    host.scene.panes.findIndex(
      ({ rect }) =>
        x >= rect.left && y >= rect.top && x < rect.left + rect.width && y < rect.top + rect.height,
    );

  area.addEventListener("pointerdown", (event) => {
    const at = place(event);
    pane = paneAt(at);
    if (pane < 0) return;
    event.preventDefault();
    area.setPointerCapture(event.pointerId);
    const press = {
      pane,
      at: inPane(pane, at),
      button: event.shiftKey ? 1 : event.button,
      newId: host.newMarkId(),
    };
    const begun = begin(host.state, host.scene, press);
    gesture = begun.gesture;
    host.change(begun.state, gesture !== null);
  });

  area.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (gesture === null) {
      const over = paneAt(at);
      const next = over < 0 ? host.state : hover(host.state, host.scene, over, inPane(over, at));
      if (next !== host.state) host.change(next, false);
      return;
    }
    const moved = move(host.state, host.scene, gesture, inPane(pane, at));
    gesture = moved.gesture;
    host.change(moved.state, true);
  });

  const release = () => {
    if (gesture === null) return;
    const next = end(host.state, gesture);
    gesture = null;
    host.change(next, false);
  };
  area.addEventListener("pointerup", release);
  area.addEventListener("pointercancel", release);
  area.addEventListener("contextmenu", (event) => event.preventDefault());

  area.addEventListener(
    "wheel",
    (event) => {
      const at = place(event);
      const over = paneAt(at);
      if (over < 0) return;
      event.preventDefault();
      const turned = notches(event);
      passed += turned;
      const slices = Math.trunc(passed);
      passed -= slices;
      const wheel = { at: inPane(over, at), turned, slices };
      const next = wheeled(host.state, host.scene, over, wheel, event);
      if (next !== host.state) host.change(next, true);
    },
    { passive: false },
  );
}

interface Wheel {
  readonly at: Point;
  /** Notches, and whole ones since the last slice. */
  readonly turned: number;
  readonly slices: number;
}

/** How far the wheel was turned: a notch is 100 pixels or 3 lines, as browsers report it. */
function notches(event: WheelEvent): number {
  const one = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 3 : 100;
  return Math.min(Math.max(event.deltaY / one, -3), 3);
}

/** A stack scrolls, unless Ctrl is held; every other picture is zoomed at the pointer. */
function wheeled(
  state: ViewerState,
  scene: Scene,
  index: number,
  wheel: Wheel,
  event: WheelEvent,
): ViewerState {
  const pane = scene.panes[index];
  if (pane.shown === null || wheel.turned === 0) return state;
  const active = { ...state, active: index };
  if (event.shiftKey) return adjustWindow(active, scene, 0, wheel.turned * 0.05);
  if (pane.shown.image.frames > 1 && !event.ctrlKey) {
    return wheel.slices === 0 ? state : frameBy(active, pane, wheel.slices);
  }
  const camera = cameraOf(state, index);
  const zoom = camera.zoom * Math.exp(-wheel.turned * 0.15);
  return withCamera(
    active,
    index,
    zoomedAt(camera, scene.fit, pane.rect, pane.shown.hung, wheel.at, zoom),
  );
}
