/** Pointer events of fingers → acts. A mouse works like one finger, for desks with a narrow window. */

import {
  type Finger,
  type TouchAct,
  type TouchState,
  touchDown,
  touchMove,
  touchUp,
} from "../tools/touch";

export interface TouchHost {
  readonly state: TouchState;
  isZoomed(): boolean;
  act(act: TouchAct): void;
}

export function listenToTouch(stage: HTMLElement, host: TouchHost): void {
  let state = host.state;
  const fingerOf = (event: PointerEvent): Finger => {
    const box = stage.getBoundingClientRect();
    return { id: event.pointerId, x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const surface = () => ({
    width: stage.clientWidth,
    height: stage.clientHeight,
    isZoomed: host.isZoomed(),
  });
  const take = ([next, acts]: readonly [TouchState, readonly TouchAct[]]) => {
    state = next;
    for (const act of acts) host.act(act);
  };
  // Two fingers are the picture's, and so is one on an enlarged picture: the page does not scroll.
  const claim = (event: TouchEvent) => {
    if (event.touches.length > 1 || host.isZoomed()) event.preventDefault();
  };
  stage.addEventListener("touchstart", claim, { passive: false });
  stage.addEventListener("touchmove", claim, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    state = touchDown(state, fingerOf(event));
  });
  stage.addEventListener("pointermove", (event) => {
    take(touchMove(state, fingerOf(event), surface()));
  });
  stage.addEventListener("pointerup", (event) => {
    take(touchUp(state, fingerOf(event), surface(), event.timeStamp));
  });
  // The browser took the gesture over, for scrolling the page: it was none of the picture's.
  stage.addEventListener("pointercancel", () => {
    state = host.state;
  });
}
