/**
 * The reader's marks on the pictures. They lie in source pixels, so that they stay in place however
 * a picture hangs. Pure: a list of marks in, a new list out.
 */

import type { Point } from "../exam";
import type { Descriptors } from "./descriptors";

export type MarkKind = "point" | "ellipse" | "arrow" | "text" | "length";

export interface Mark {
  readonly id: string;
  readonly sopInstanceUid: string;
  /** 1-based. */
  readonly frame: number;
  readonly kind: MarkKind;
  /**
   * point, text: one. length: its ends. arrow: tail, then tip. ellipse: opposite corners of the
   * rectangle around it.
   */
  readonly points: readonly Point[];
  /** Words of a `text`, or a remark to any other mark. */
  readonly text: string;
  readonly descriptors: Descriptors | null;
}

/** All marks of a reading, with what was undone. */
export interface MarkHistory {
  readonly marks: readonly Mark[];
  readonly past: readonly (readonly Mark[])[];
  readonly future: readonly (readonly Mark[])[];
}

export const POINTS_OF: Readonly<Record<MarkKind, 1 | 2>> = {
  point: 1,
  text: 1,
  ellipse: 2,
  arrow: 2,
  length: 2,
};

const KEPT_STEPS = 100;

export function emptyHistory(marks: readonly Mark[] = []): MarkHistory {
  return { marks, past: [], future: [] };
}

export function withMark(history: MarkHistory, mark: Mark): MarkHistory {
  const at = history.marks.findIndex((other) => other.id === mark.id);
  const marks = at < 0 ? [...history.marks, mark] : history.marks.with(at, mark);
  return changed(history, marks);
}

export function withoutMark(history: MarkHistory, id: string): MarkHistory {
  const marks = history.marks.filter((mark) => mark.id !== id);
  return marks.length === history.marks.length ? history : changed(history, marks);
}

export function undone(history: MarkHistory): MarkHistory {
  const marks = history.past.at(-1);
  if (marks === undefined) return history;
  const future = [history.marks, ...history.future];
  return { marks, past: history.past.slice(0, -1), future };
}

export function redone(history: MarkHistory): MarkHistory {
  const [marks, ...future] = history.future;
  if (marks === undefined) return history;
  return { marks, past: [...history.past, history.marks], future };
}

/** The mark moved by a vector in source pixels; with `handle` only that point of it. */
export function moved(mark: Mark, by: Point, handle: number | null = null): Mark {
  const points = mark.points.map(
    (point, i): Point =>
      handle === null || handle === i ? [point[0] + by[0], point[1] + by[1]] : point,
  );
  return { ...mark, points };
}

export interface Hit {
  readonly id: string;
  /** Index of the point that was hit; null for the mark as a whole. */
  readonly handle: number | null;
}

/**
 * The mark at a point of a picture; the last one drawn wins, and ends win over lines.
 *
 * @param reach how near is near enough, in source pixels
 */
export function markAt(marks: readonly Mark[], at: Point, reach: number): Hit | null {
  for (const mark of [...marks].reverse()) {
    const handle = mark.points.findIndex((point) => distance(point, at) <= reach);
    if (handle >= 0) return { id: mark.id, handle: mark.points.length > 1 ? handle : null };
  }
  for (const mark of [...marks].reverse()) {
    if (distanceToMark(mark, at) <= reach) return { id: mark.id, handle: null };
  }
  return null;
}

function distanceToMark(mark: Mark, at: Point): number {
  const [a, b] = mark.points;
  if (b === undefined) return distance(a, at);
  return mark.kind === "ellipse" ? distanceToEllipse(a, b, at) : distanceToLine(a, b, at);
}

function distanceToLine(a: Point, b: Point, at: Point): number {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const square = dx * dx + dy * dy;
  const share = square === 0 ? 0 : ((at[0] - a[0]) * dx + (at[1] - a[1]) * dy) / square;
  const along = Math.min(1, Math.max(0, share));
  return distance([a[0] + along * dx, a[1] + along * dy], at);
}

/** Along the ray from the centre: near enough for a pointer. */
function distanceToEllipse(a: Point, b: Point, at: Point): number {
  const [rx, ry] = [Math.abs(b[0] - a[0]) / 2, Math.abs(b[1] - a[1]) / 2];
  const [dx, dy] = [at[0] - (a[0] + b[0]) / 2, at[1] - (a[1] + b[1]) / 2];
  if (rx === 0 || ry === 0) return distanceToLine(a, b, at);
  const share = Math.hypot(dx / rx, dy / ry);
  return share === 0 ? Math.min(rx, ry) : Math.abs(1 - 1 / share) * Math.hypot(dx, dy);
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

function changed(history: MarkHistory, marks: readonly Mark[]): MarkHistory {
  return { marks, past: [...history.past, history.marks].slice(-KEPT_STEPS), future: [] };
}
