/** What waits on a device to be sent. Pure. */

import { Problem } from "../api/problem";
import type { Answers, Reading } from "../api/types";
import { NO_ANSWERS, sameAnswers } from "../logic/answers";
import { newKey } from "../logic/request_keys";

/** One request about a reading. Its key is its name at the server: sent twice, it counts once. */
export type ReadingStep = { readonly key: string } & (
  | { readonly act: "save"; readonly answers: Answers }
  | { readonly act: "lock" | "sign" }
  | { readonly act: "revise"; readonly answers: Answers | null }
  | { readonly act: "addendum"; readonly text: string }
);

/**
 * `keeping`: a file that is not whole on this device yet, or never will be, as its tab was closed;
 * `conflict`: the server has something else; `refused`: it never takes this.
 */
export type ItemState = "keeping" | "waiting" | "conflict" | "refused";

interface AnyItem {
  readonly id: string;
  readonly createdAt: number;
  readonly state: ItemState;
  /** The server's word for why it is not taken. */
  readonly code: string | null;
}

export interface ReadingItem extends AnyItem {
  readonly kind: "reading";
  readonly exam: number;
  /** How the reader knows the exam. */
  readonly title: string;
  /** What the reader had in view: images and AI of these versions. */
  readonly version: number;
  readonly revision: number | null;
  /** The reading at the server as the reader had it; null: it was not begun. */
  readonly reading: { readonly id: number; readonly etag: string } | null;
  readonly steps: readonly ReadingStep[];
  /** How many of the steps the server has taken. */
  readonly taken: number;
}

export interface UploadItem extends AnyItem {
  readonly kind: "upload";
  readonly name: string;
  readonly site: number | null;
  readonly bytes: number;
  readonly pieces: number;
  readonly key: string;
  /** Where its pieces go; null: it was not begun. */
  readonly url: string | null;
  readonly sent: number;
  /** Further metadata, such as the patient's consent; older items have none. */
  readonly facts?: Readonly<Record<string, string>>;
}

export type QueueItem = ReadingItem | UploadItem;

export const newId = newKey;

/** The draft of an exam is one item, whatever is changed in it. */
export const draftId = (exam: number) => `draft of exam ${exam}`;

/** Somebody else, or another window, was faster; or the reader has not seen what is there now. */
const CONFLICTS = [
  ...["stale", "locked", "not_locked", "already_signed", "in_arbitration"],
  ...["exam_changed", "ai_changed", "ai_locked", "key_reused"],
];
/** Nothing is wrong with the item: it is sent when the person is signed in and the line is back. */
const NOT_YET = ["csrf", "no_session", "sign_in_unfinished", "in_use", "repeated"];

export type Verdict = { readonly state: ItemState; readonly code: string };

/** What a failed attempt says about an item. */
export function verdictOf(error: unknown): Verdict {
  if (!(error instanceof Problem)) return { state: "waiting", code: "unreachable" };
  const { code } = error;
  if (error.isPassing || error.status === 401 || NOT_YET.includes(code)) {
    return { state: "waiting", code };
  }
  return { state: CONFLICTS.includes(code) ? "conflict" : "refused", code };
}

/**
 * Whether a reading that was begun just now holds nothing but what is to be sent: else somebody has
 * answered elsewhere meanwhile, and nothing goes over it.
 */
export function isUntouched(reading: Reading, item: ReadingItem): boolean {
  return (
    reading.state === "draft" &&
    reading.exam_version === item.version &&
    sameAnswers(reading, NO_ANSWERS)
  );
}

/** Whether the answer is meant to stand: it is locked, signed or added to. */
export function finishes({ steps }: ReadingItem): boolean {
  return steps.some(({ act }) => act !== "save");
}

/** The answers that an item carries, for the reader to look at or take back. */
export function answersIn({ steps }: ReadingItem): Answers | null {
  for (const step of steps) {
    if ((step.act === "save" || step.act === "revise") && step.answers !== null) {
      return step.answers;
    }
  }
  return null;
}
