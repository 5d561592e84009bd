/**
 * The views of an exam one after the other, for a small screen: RCC, LCC, RMLO, LMLO, then all
 * others. A view without a picture has its place too, and says so. Pure.
 */

import type { Exam, ExamImage } from "./exam";
import { hangingSteps, type Place } from "./hanging";

export interface PocketView {
  readonly place: Place;
  readonly image: ExamImage | null;
}

export function pocketViews(exam: Exam): readonly PocketView[] {
  const steps = hangingSteps(exam, null);
  const places = steps
    .filter(({ id }) => id === "four-up" || id.startsWith("other-"))
    .flatMap((step) => step.places);
  return places.flatMap((place): PocketView[] =>
    place.images.length === 0
      ? [{ place, image: null }]
      : place.images.map((image) => ({ place, image })),
  );
}
