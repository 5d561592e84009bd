/** What is worth fetching ahead, most useful first. Pure. */

import type { Exam, ExamImage } from "../exam";
import type { Step } from "../hanging";

/** Address of one frame, 1-based. */
export function frameUrl(image: ExamImage, frame: number): string {
  return `${image.framesUrl}/${frame}`;
}

/** The frame that a stack opens at: its middle. */
export function firstFrame(image: ExamImage): number {
  return Math.ceil(image.frames / 2);
}

/** Frames that the steps after this one show first, and which this step does not. */
export function neighbourFrames(steps: readonly Step[], position: number): readonly string[] {
  const shown = new Set(firstFrames(steps[position]));
  const later = [...steps.slice(position + 1), ...steps.slice(0, position)];
  return [...new Set(later.flatMap(firstFrames))].filter((url) => !shown.has(url));
}

/** Frames of a stack around the one that is shown, nearest first. */
export function stackFrames(image: ExamImage, frame: number, around: number): readonly string[] {
  return Array.from({ length: around }, (_, i) => [frame + i + 1, frame - i - 1])
    .flat()
    .filter((n) => n >= 1 && n <= image.frames)
    .map((n) => frameUrl(image, n));
}

/** Previews and frames of an exam that may be shown next. Stacks are left out: too large. */
export function nextExamUrls(exam: Exam): {
  previews: readonly string[];
  frames: readonly string[];
} {
  const flat = exam.images.filter((image) => image.frames === 1);
  return {
    previews: exam.images.map((image) => image.preview.url),
    frames: flat.map((image) => frameUrl(image, 1)),
  };
}

function firstFrames(step: Step): readonly string[] {
  return step.places.flatMap(({ images }) =>
    images.length > 0 ? [frameUrl(images[0], firstFrame(images[0]))] : [],
  );
}
