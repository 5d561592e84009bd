/** The worklist's filters as part of the address, and moving through its rows by keyboard. */

import type { Category, ExamRow, ExamStatus } from "../api/types";

export const STATUSES: readonly ExamStatus[] = [
  "waiting",
  "analysing",
  "new",
  "in_reading",
  "read",
  "arbitration",
  "signed",
];
/** In the order of the worklist: what may not wait comes first, and an unknown before a low. */
export const CATEGORIES: readonly Category[] = [
  "high",
  "failed",
  "withheld",
  "intermediate",
  "low",
];
export const FILTER_NAMES = [
  "q",
  "status",
  "site",
  "category",
  "doubt",
  "reader",
  "from",
  "to",
  "sort",
] as const;
export type FilterName = (typeof FILTER_NAMES)[number];
export type Filters = Partial<Record<FilterName, string>>;

/** Only names that are filters, and no empty values. */
export function filtersOf(query: Readonly<Record<string, string>>): Filters {
  const filters: Filters = {};
  for (const name of FILTER_NAMES) if (query[name]) filters[name] = query[name];
  return filters;
}

export function withFilter(filters: Filters, name: FilterName, value: string): Filters {
  const { [name]: _, ...others } = filters;
  return value === "" ? others : { ...others, [name]: value };
}

export function sameFilters(a: Filters, b: Filters): boolean {
  return FILTER_NAMES.every((name) => (a[name] ?? "") === (b[name] ?? ""));
}

/**
 * Filters as the server wants them: days of the reader's clock become times, the last day is
 * included.
 */
export function questionOf(filters: Filters): Filters {
  const { from, to, ...others } = filters;
  const since = from && startOfDay(from, 0);
  const until = to && startOfDay(to, 1);
  return { ...others, ...(since && { from: since }), ...(until && { to: until }) };
}

function startOfDay(day: string, plus: number): string | null {
  const [year, month, date] = day.split("-").map(Number);
  const at = new Date(year, month - 1, date + plus);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** Filters without the way of sorting: what hides exams. */
export function hidesExams(filters: Filters): boolean {
  return FILTER_NAMES.some((name) => name !== "sort" && filters[name] !== undefined);
}

/** The row that a key leads to; null: the key is not for the list. */
export function rowAfterKey(key: string, at: number, count: number): number | null {
  if (count === 0) return null;
  switch (key) {
    case "j":
    case "ArrowDown":
      return Math.min(at + 1, count - 1);
    case "k":
    case "ArrowUp":
      return Math.max(at - 1, 0);
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}

/** The selected row after the list was read again: the same exam, else the same place. */
export function keptRow(rows: readonly ExamRow[], exam: number | null, place: number): number {
  const at = rows.findIndex((row) => row.id === exam);
  return at >= 0 ? at : Math.min(Math.max(place, 0), Math.max(rows.length - 1, 0));
}

/** Whether a person still has to read an exam. */
export function isOpen(row: ExamRow): boolean {
  return row.status === "new" || row.status === "in_reading" || row.status === "read";
}

/** The exam to read after one, in the order of the list; exams that are done are passed over. */
export function nextExam(rows: readonly ExamRow[], exam: number): number | null {
  const at = rows.findIndex((row) => row.id === exam);
  return rows.slice(at + 1).find((row) => isOpen(row) && row.id !== exam)?.id ?? null;
}

export function previousExam(rows: readonly ExamRow[], exam: number): number | null {
  const at = rows.findIndex((row) => row.id === exam);
  return at > 0 ? rows[at - 1].id : null;
}
