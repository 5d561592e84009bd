import { useEffect } from "react";
import type { ExamImage } from "../../../viewer/exam";
import type { Mark } from "../../../viewer/tools/marks";
import type { Breast, Reading } from "../../api/types";
import type { Draft } from "./use_draft";
import type { ExamFacts } from "./use_exam";

export interface PanelProps {
  readonly facts: ExamFacts;
  readonly draft: Draft;
  readonly isArbitration: boolean;
  readonly next: number | null;
  showMark(id: string): void;
  /** Draws the regions of biopsies in the pictures. */
  showBiopsies(marks: readonly Mark[]): void;
  openAgain(): void;
  /** Whether marks in the pictures are part of an answer now. */
  takeMarks(isOn: boolean): void;
  /** After something happened to the reading: with the new one, if it is this person's. */
  refresh(reading?: Reading): Promise<void>;
}

/** While a part of the panel that takes an answer is shown, marks belong to it. */
export function useMarks({ takeMarks }: PanelProps): void {
  useEffect(() => {
    takeMarks(true);
    return () => takeMarks(false);
  }, [takeMarks]);
}

/** The breasts that must be assessed: those of which the exam has images. */
export function imagedBreasts(images: readonly ExamImage[]): readonly Breast[] {
  const sides = new Set(images.map((image) => image.laterality));
  const imaged: Breast[] = [];
  if (sides.has("R")) imaged.push("right");
  if (sides.has("L")) imaged.push("left");
  return imaged;
}
