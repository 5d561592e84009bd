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

export function lastList(): ListMemory {
  return memory;
}
