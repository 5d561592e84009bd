/** What the AI and reception say of an exam, in the language of the reader, for the viewer. Pure. */

import type { Exam } from "../../viewer/exam";

export function inWords(exam: Exam, reason: (text: string) => string): Exam {
  const { ai } = exam;
  return {
    ...exam,
    doubts: gathered(exam.doubts).map(reason),
    refused: exam.refused.map((one) => ({ ...one, reason: reason(one.reason) })),
    ai: ai.state === "failed" ? { ...ai, reason: reason(ai.reason) } : ai,
  };
}

const VIEW = /^([LR] ?[A-Z]{2,4}): (.*)$/s;

/** The same doubt about several views is said once, with the views before it. */
export function gathered(doubts: readonly string[]): readonly string[] {
  const views = new Map<string, string[]>();
  for (const doubt of doubts) {
    const [, view, text] = VIEW.exec(doubt) ?? [null, null, doubt];
    const named = views.get(text) ?? [];
    views.set(text, view === null ? named : [...named, view]);
  }
  return [...views].map(([text, named]) =>
    named.length === 0 ? text : `${named.join(", ")}: ${text}`,
  );
}
