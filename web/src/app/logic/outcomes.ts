/** Outcomes without the page: the proving sentences of a text, what stands, the form's numbers. */

import type { Mark } from "../../viewer/tools/marks";
import type { ExamOutcome, Outcome, OutcomeValues } from "../api/outcomes";

export const OUTCOME_WORDS = [
  "benign",
  "high_risk",
  "in_situ",
  "invasive",
  "malignant",
  "unsatisfactory",
  "unsure",
  "not_breast",
] as const;

export interface TextPart {
  readonly text: string;
  /** The fields that this part proves; none: plain text. */
  readonly fields: readonly string[];
  readonly start: number;
}

/**
 * Divides a text at the ends of its ranges, which may overlap.
 *
 * @param ranges field, start and end in code points
 */
export function textParts(
  text: string,
  ranges: readonly (readonly [string, number, number])[],
): readonly TextPart[] {
  const letters = Array.from(text);
  const edges = new Set([0, letters.length]);
  for (const [, start, end] of ranges) {
    edges.add(Math.min(start, letters.length));
    edges.add(Math.min(end, letters.length));
  }
  const places = [...edges].sort((a, b) => a - b);
  return places.slice(0, -1).map((start, i) => {
    const fields = ranges.filter(([, from, to]) => from <= start && start < to);
    return {
      text: letters.slice(start, places[i + 1]).join(""),
      fields: [...new Set(fields.map(([field]) => field))],
      start,
    };
  });
}

export function standing(one: Outcome): OutcomeValues {
  return one.decided ?? one.proposed;
}

/** A number that was typed; null for an empty field, NaN for anything else. */
export function typedNumber(text: string): number | null {
  const plain = text.trim().replace(",", ".");
  return plain === "" ? null : Number(plain);
}

/** The regions of biopsies as marks that the viewer draws beside those of readers. */
export function regionMarks(
  items: readonly ExamOutcome[],
  say: (outcome: string | null | undefined) => string,
): readonly Mark[] {
  return items.flatMap(({ row, places }) =>
    places.map(({ sop_instance_uid, region_source_px: [row0, column0, row1, column1] }) => ({
      id: `biopsy-${row.id}-${sop_instance_uid}`,
      sopInstanceUid: sop_instance_uid,
      frame: 1,
      kind: "ellipse" as const,
      points: [
        [column0, row0],
        [column1, row1],
      ] as const,
      text: say(standing(row).outcome),
      descriptors: null,
    })),
  );
}
