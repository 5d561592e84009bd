/** The list that the person came from: where "back" leads, and which exam is next. */

import type { ExamRow } from "../../api/types";
import { hashTo } from "../../logic/route";

interface ListMemory {
  readonly hash: string;
  readonly rows: readonly ExamRow[];
}

let memory: ListMemory = { hash: hashTo("worklist"), rows: [] };

export function rememberList(hash: string, rows: readonly ExamRow[]): void {
  memory = { hash, rows };
}

let exam: number | null = null;

/** The exam that was opened last: the list begins there again. */
export function rememberExam(id: number): void {
  exam = id;
}

export function lastExam(): number | null {
  return exam;
}

export function lastList(): ListMemory {
  return memory;
}
