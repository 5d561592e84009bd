/**
 * Names of requests: what is sent again after a broken line has the same name, so that it counts
 * once. The same answers are the same request, whoever sends them: the page or the queue.
 */

import type { Answers } from "../api/types";

const keys = new WeakMap<Answers, string>();

export const newKey = (): string => crypto.randomUUID();

export function keyOfAnswers(answers: Answers): string {
  const known = keys.get(answers);
  if (known !== undefined) return known;
  const made = newKey();
  keys.set(answers, made);
  return made;
}
