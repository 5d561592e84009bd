/** Marks of the viewer ↔ findings of a reading. Both lie in source pixels. */

import type { ExamImage, Point } from "../../viewer/exam";
import { lengthOf } from "../../viewer/geometry/spacing";
import type { Mark } from "../../viewer/tools/marks";
import type { BiRads, ReadingMark } from "../api/types";

/** Rows and columns of a DICOM image are 16-bit numbers. */
const LARGEST_PX = 65535;
const LONGEST_TEXT = 400;

/**
 * Findings from the viewer's marks. BI-RADS categories given to a mark before are kept.
 *
 * @param before the findings so far
 */
export function findingsOf(
  marks: readonly Mark[],
  before: readonly ReadingMark[],
  images: readonly ExamImage[],
): readonly ReadingMark[] {
  const known = new Map<string | null, BiRads | null>(before.map(({ id, birads }) => [id, birads]));
  return marks.map((mark) => ({
    id: mark.id,
    image: mark.sopInstanceUid,
    frame: mark.frame,
    shape: mark.kind,
    points_source_px: mark.points.map(inPicture),
    descriptors: mark.descriptors,
    birads: known.get(mark.id) ?? null,
    text: mark.text.slice(0, LONGEST_TEXT),
    ...measured(mark, images),
  }));
}

/** A length in millimetres with the source of its spacing, where there is one. */
function measured(
  mark: Mark,
  images: readonly ExamImage[],
): Pick<ReadingMark, "length_mm" | "spacing_source"> {
  const image = images.find((one) => one.sopInstanceUid === mark.sopInstanceUid);
  const [a, b] = mark.points;
  const none = { length_mm: null, spacing_source: null };
  if (mark.kind !== "length" || image === undefined || b === undefined) return none;
  const length = lengthOf(a, b, image);
  if (length.unit !== "mm" || length.value <= 0) return none;
  return { length_mm: length.value, spacing_source: length.source };
}

/** Marks may be drawn over the edge of a picture; what is kept lies in it. */
function inPicture([x, y]: Point): Point {
  const within = (value: number) => Math.min(Math.max(value, 0), LARGEST_PX);
  return [within(x), within(y)];
}

export function marksOf(findings: readonly ReadingMark[]): readonly Mark[] {
  return findings.map((finding, i) => ({
    id: finding.id ?? `saved-${i}`,
    sopInstanceUid: finding.image,
    frame: finding.frame,
    kind: finding.shape,
    points: finding.points_source_px,
    text: finding.text,
    descriptors: finding.descriptors,
  }));
}

/** Measured lengths help while reading, and are no findings. */
export function isFinding(mark: ReadingMark): boolean {
  return mark.shape !== "length";
}
