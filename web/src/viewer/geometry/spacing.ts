/**
 * Millimetres per pixel, with the source named. A length without a known spacing is in pixels.
 *
 * Imager Pixel Spacing is measured at the detector. The breast lies above it and is shown enlarged,
 * so lengths by it are too long, by some 5 to 10 % in a contact view and by half in a magnification
 * view. The magnification factor corrects that (PS3.3 C.8.11.4, 10.7.1.3).
 */

import type { ExamImage, Point } from "../exam";

/** Best first. */
export type SpacingSource = "calibrated" | "magnification-corrected" | "imager" | "documented";

export interface Spacing {
  readonly rowMm: number;
  readonly columnMm: number;
  readonly source: SpacingSource;
  /** Who documents it, for `documented`. */
  readonly by: string | null;
}

export type Length =
  | { readonly unit: "mm"; readonly value: number; readonly source: SpacingSource }
  | { readonly unit: "px"; readonly value: number };

/** The best spacing that the image states; null if it states none that is possible. */
export function spacingOf(image: Pick<ExamImage, "spacing">): Spacing | null {
  const { calibrated, imager, magnification, documented } = image.spacing;
  if (possible(calibrated)) return spacing(calibrated, "calibrated");
  if (possible(imager)) {
    if (magnification !== null && magnification >= 1 && magnification < 10) {
      const [row, column] = imager;
      return spacing([row / magnification, column / magnification], "magnification-corrected");
    }
    return spacing(imager, "imager");
  }
  if (documented !== null && possible(documented.mm)) {
    return { ...spacing(documented.mm, "documented"), by: documented.by };
  }
  return null;
}

/** The length of a line between two source points. */
export function lengthOf(from: Point, to: Point, image: Pick<ExamImage, "spacing">): Length {
  const found = spacingOf(image);
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  if (found === null) return { unit: "px", value: Math.hypot(dx, dy) };
  const value = Math.hypot(dx * found.columnMm, dy * found.rowMm);
  return { unit: "mm", value, source: found.source };
}

function spacing(mm: readonly [number, number], source: SpacingSource): Spacing {
  return { rowMm: mm[0], columnMm: mm[1], source, by: null };
}

/** Detectors and film scanners lie between 0.02 and 0.2 mm; thinned pictures somewhat above. */
function possible(mm: readonly [number, number] | null): mm is readonly [number, number] {
  return mm?.every((value) => value > 0.001 && value < 10) ?? false;
}
