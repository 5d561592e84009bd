/** How a view looks, drawn: the breast as it hangs, and in MLO the muscle above. */

import type { Slot } from "../../logic/field";

const BREAST = "M0 6C34 8 62 30 64 60 62 90 34 112 0 114Z";
const SLANTED = "M0 4C26 10 60 44 64 78 60 102 32 114 0 116Z";
const MUSCLE = "M0 4 24 4 0 78Z";

/** Right breasts hang with the chest wall at the right, left ones at the left. */
export function ViewDrawing({ slot }: { slot: Slot }) {
  const isOblique = slot.endsWith("MLO");
  const turned = slot.startsWith("R") ? "translate(80 0) scale(-1 1)" : "";
  return (
    <svg className="view-drawing" viewBox="0 0 80 120" aria-hidden="true" focusable="false">
      <rect className="view-ground" width="80" height="120" />
      <g transform={turned}>
        <path className="view-breast" d={isOblique ? SLANTED : BREAST} />
        {isOblique && <path className="view-muscle" d={MUSCLE} />}
        <circle className="view-nipple" cx="64" cy={isOblique ? 78 : 60} r="2.5" />
      </g>
    </svg>
  );
}
