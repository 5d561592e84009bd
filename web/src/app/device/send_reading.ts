/** Sends what waits of a reading, step by step. After each the item is kept again, so none is lost. */

import { Problem } from "../api/problem";
import type { ReadingsApi } from "../api/readings";
import type { ExamDetail, Reading } from "../api/types";
import { isUntouched, type ReadingItem, type ReadingStep } from "./queue_items";

export interface ReadingSender {
  readonly readings: ReadingsApi;
  showExam(id: number): Promise<ExamDetail>;
  /** Keeps the item as it is now, before anything else is sent. */
  keep(item: ReadingItem): Promise<void>;
}

/** @throws Problem, with what was sent so far kept */
export async function sendReading(item: ReadingItem, sender: ReadingSender): Promise<void> {
  let now = item;
  if (now.reading === null) {
    const begun = await begin(now, sender);
    now = { ...now, reading: { id: begun.id, etag: begun.etag } };
    await sender.keep(now);
  }
  while (now.taken < now.steps.length && now.reading !== null) {
    const made = await sendStep(now.steps[now.taken], now.reading, sender.readings);
    now = { ...now, reading: { id: made.id, etag: made.etag }, taken: now.taken + 1 };
    await sender.keep(now);
  }
}

/** Begins the reading, if the exam is still as the reader saw it and nobody has answered for them. */
async function begin(item: ReadingItem, { readings, showExam }: ReadingSender): Promise<Reading> {
  const exam = await showExam(item.exam);
  if (exam.version !== item.version) throw conflict("exam_changed");
  if (exam.revision !== item.revision) throw conflict("ai_changed");
  const begun = await readings.open(item.exam);
  if (!isUntouched(begun, item)) throw conflict("stale");
  return begun;
}

function conflict(code: string): Problem {
  return new Problem(409, code, code);
}

function sendStep(
  step: ReadingStep,
  reading: { readonly id: number; readonly etag: string },
  readings: ReadingsApi,
): Promise<Reading> {
  const once = step.key;
  switch (step.act) {
    case "save":
      return readings.save(reading, step.answers, once);
    case "lock":
      return readings.lock(reading, once);
    case "sign":
      return readings.sign(reading, once);
    case "revise":
      return readings.revise(reading, step.answers, once);
    case "addendum":
      return readings.addAddendum(reading, step.text, once);
  }
}
