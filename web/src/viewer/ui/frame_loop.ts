/** Draws at most once per frame of the screen, and once more, exactly, when everything rests. */

import type { Quality } from "../resample";

export interface FrameLoop {
  /** Asks for a drawing; `moving` allows a coarser one now and an exact one after `REST_MS`. */
  request(moving: boolean): void;
  stop(): void;
}

/** Long enough that a drag or a turn of the wheel is one movement; short enough to go unnoticed. */
const REST_MS = 180;

export function makeFrameLoop(draw: (quality: Quality) => void): FrameLoop {
  let frame = 0;
  let rest: ReturnType<typeof setTimeout> | undefined;
  let coarse = false;
  const schedule = () => {
    if (frame !== 0) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw(coarse ? "moving" : "exact");
    });
  };
  return {
    request(moving) {
      if (moving) {
        coarse = true;
        clearTimeout(rest);
        rest = setTimeout(() => {
          coarse = false;
          schedule();
        }, REST_MS);
      }
      schedule();
    },
    stop() {
      clearTimeout(rest);
      cancelAnimationFrame(frame);
    },
  };
}
