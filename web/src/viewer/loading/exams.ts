/** Exams and what is fetched ahead of them. */

import { ACCEPT_FRAMES } from "../decode/frame";
import type { Exam } from "../exam";
import { type FetchQueue, URGENCY } from "./fetch_queue";
import { nextExamUrls } from "./prefetch";

/** Gives the `Exam` at a URL. @throws with the reason in words */
export type ReadExam = (url: string) => Promise<Exam>;

/** @throws if the server refuses, with its words where it gives a problem document (RFC 9457) */
export async function loadExam(url: string): Promise<Exam> {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  if (response.ok) return (await response.json()) as Exam;
  const problem = await response.json().catch(() => null);
  throw new Error(problem?.detail ?? `The server answers ${response.status} to ${url}`);
}

/**
 * Fetches frames of this exam, then previews and frames of the next one, into the queue's cache.
 * What cannot be fetched ahead is fetched when it is needed, so errors are passed over here.
 */
export async function preloadExam(
  queue: FetchQueue,
  neighbours: readonly string[],
  next: string | null,
  readExam: ReadExam = loadExam,
): Promise<void> {
  const ask = (url: string, accept: string, urgency: 2 | 3) =>
    queue.request(url, accept, urgency).catch(() => undefined);
  await Promise.all(neighbours.map((url) => ask(url, ACCEPT_FRAMES, URGENCY.neighbour)));
  if (next === null) return;
  // The server then notes that the exam was fetched, not that it was viewed.
  const exam = await readExam(`${next}?ahead=true`).catch(() => null);
  if (exam === null) return;
  const { previews, frames } = nextExamUrls(exam);
  await Promise.all(previews.map((url) => ask(url, "image/jpeg, image/png", URGENCY.nextExam)));
  for (const url of frames) await ask(url, ACCEPT_FRAMES, URGENCY.nextExam);
}
