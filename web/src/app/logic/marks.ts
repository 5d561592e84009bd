/** Marks of the viewer ↔ findings of a reading. Both lie in source pixels. */

import { DESCRIPTORS, FINDING_TYPES, type FindingType } from "../../viewer/tools/descriptors";
import type { Mark } from "../../viewer/tools/marks";
import type { BiRads, ReadingMark } from "../api/types";

/** Measured lengths are a help while reading, not a finding; everything else is one. */
export function isFinding(mark: Mark): boolean {
  return mark.kind !== "length";
}

/**
 * Findings from the viewer's marks. BI-RADS categories given to a mark before are kept.
 *
 * @param before the findings so far
 */
export function findingsOf(
  marks: readonly Mark[],
  before: readonly ReadingMark[],
): readonly ReadingMark[] {
  const known = new Map<string | undefined, BiRads | null>(
    before.map((finding) => [finding.id, finding.birads]),
  );
  return marks.filter(isFinding).map((mark) => ({
    id: mark.id,
    image: mark.sopInstanceUid,
    frame: mark.frame,
    shape: mark.kind as ReadingMark["shape"],
    points_source_px: mark.points,
    descriptors: mark.descriptors && { type: mark.descriptors.type, ...mark.descriptors.answers },
    birads: known.get(mark.id) ?? null,
    text: mark.text,
  }));
}

export function marksOf(findings: readonly ReadingMark[]): readonly Mark[] {
  return findings.map((finding, i) => ({
    id: finding.id ?? `saved-${i}`,
    sopInstanceUid: finding.image,
    frame: finding.frame ?? 1,
    kind: finding.shape,
    points: finding.points_source_px,
    text: finding.text,
    descriptors: descriptorsOf(finding.descriptors),
  }));
}

function descriptorsOf(given: ReadingMark["descriptors"]): Mark["descriptors"] {
  const type = FINDING_TYPES.find((one) => one === given?.type) as FindingType | undefined;
  if (given === null || type === undefined) return null;
  const answers: Record<string, string> = {};
  for (const { id, values } of DESCRIPTORS[type]) {
    if (values.includes(given[id])) answers[id] = given[id];
  }
  return { type, answers };
}
