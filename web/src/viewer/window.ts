/** Changing the window: by dragging, by keys, by the presets of the header. */

import type { Voi } from "./exam";

/** Centre and width of a grey scale, whatever its kind; what a reader sees in the corner. */
export interface WindowWords {
  readonly center: number;
  readonly width: number;
}

/**
 * Centre and width of a grey scale. A tone that falls (black above white) has a positive width too.
 */
export function windowOf(voi: Voi): WindowWords {
  switch (voi.kind) {
    case "window":
      return { center: voi.center, width: voi.width };
    case "tone":
      return { center: (voi.black + voi.white) / 2, width: Math.abs(voi.white - voi.black) };
    case "table":
      return { center: voi.first + (voi.values.length - 1) / 2, width: voi.values.length };
  }
}

/**
 * The grey scale with another centre and width. Windows keep their function and a tone keeps its
 * curve; a table becomes a linear window, since a table cannot be stretched truthfully.
 */
export function withWindow(voi: Voi, center: number, width: number): Voi {
  const wide = Math.max(width, 1);
  switch (voi.kind) {
    case "window":
      return { ...voi, center, width: wide, name: null };
    case "tone": {
      const half = (Math.sign(voi.white - voi.black) || 1) * (wide / 2);
      return { ...voi, black: center - half, white: center + half, name: null };
    }
    case "table":
      return { kind: "window", center, width: wide, function: "LINEAR_EXACT", name: null };
  }
}

/**
 * Moves a window by a drag or a key.
 *
 * @param across share of the current width by which it becomes wider (rightwards)
 * @param down share of the width by which its centre rises: downwards makes the picture darker
 */
export function adjusted(voi: Voi, across: number, down: number): Voi {
  const { center, width } = windowOf(voi);
  return withWindow(voi, center + down * width, width * Math.exp(across));
}
