/** What the AI and reception say of an exam, in the language of the reader, for the viewer. Pure. */

import type { Exam } from "../../viewer/exam";

export function inWords(exam: Exam, reason: (text: string) => string): Exam {
  const { ai } = exam;
  return {
    ...exam,
    doubts: exam.doubts.map(reason),
    refused: exam.refused.map((one) => ({ ...one, reason: reason(one.reason) })),
    ai: ai.state === "failed" ? { ...ai, reason: reason(ai.reason) } : ai,
  };
}
