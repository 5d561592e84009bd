/**
 * The steps in which an exam is read: four-up → right pair → left pair → CC pair → MLO pair →
 * other views → each picture at one pixel per pixel → next exam.
 *
 * A step is a grid of places. A place holds every picture of one view, so that none is hidden, and
 * says so where the exam has none. Pure: exams in, steps out.
 */

import type { Exam, ExamImage, Laterality, RefusedObject, ViewPosition } from "./exam";

export type StepKind = "grid" | "fields";

export interface Step {
  /** "four-up", "right-pair", "left-pair", "cc-pair", "mlo-pair", "other-CV", "fields-R-CC"… */
  readonly id: string;
  readonly kind: StepKind;
  readonly columns: number;
  /** Row by row. */
  readonly places: readonly Place[];
}

export interface Place {
  readonly laterality: Laterality | null;
  readonly viewPosition: ViewPosition | null;
  readonly exam: "current" | "prior";
  /** Date of the exam that the place belongs to. */
  readonly examDate: string | null;
  /** All pictures of the view, the one to be shown first at the front; empty if there is none. */
  readonly images: readonly ExamImage[];
  /** Objects of this view that cannot be shown. */
  readonly refused: readonly RefusedObject[];
}

type View = readonly [Laterality | null, ViewPosition | null];

const RCC: View = ["R", "CC"];
const LCC: View = ["L", "CC"];
const RMLO: View = ["R", "MLO"];
const LMLO: View = ["L", "MLO"];
const STANDARD: readonly View[] = [RCC, LCC, RMLO, LMLO];

/**
 * All steps of an exam.
 *
 * @param prior the exam to hang beside it, or null. Each prior picture hangs at the outer side of
 *   its current one, so that current breasts stay back to back.
 */
export function hangingSteps(exam: Exam, prior: Exam | null): readonly Step[] {
  const grid = (id: string, columns: number, views: readonly View[]): Step => {
    const current = views.map((view) => placeOf(exam, "current", view));
    if (prior === null) return { id, kind: "grid", columns, places: current };
    const places = current.flatMap((place, i) => {
      const beside = placeOf(prior, "prior", views[i]);
      return place.laterality === "L" ? [place, beside] : [beside, place];
    });
    return { id, kind: "grid", columns: 2 * columns, places };
  };
  const standard = [
    grid("four-up", 2, STANDARD),
    grid("right-pair", 2, [RCC, RMLO]),
    grid("left-pair", 2, [LCC, LMLO]),
    grid("cc-pair", 2, [RCC, LCC]),
    grid("mlo-pair", 2, [RMLO, LMLO]),
  ];
  const others = otherRows(exam).map((row) => grid(`other-${named(row[0])}`, row.length, row));
  const shown = [...STANDARD, ...otherRows(exam).flat()];
  const single = shown
    .filter((view) => placeOf(exam, "current", view).images.length > 0)
    .map((view): Step => ({ ...grid(`fields-${named(view)}`, 1, [view]), kind: "fields" }));
  return [...standard, ...others, ...single];
}

/** Views beyond the four: right and left beside each other, those of unknown side alone. */
function otherRows(exam: Exam): readonly (readonly View[])[] {
  const there = [...exam.images, ...exam.refused].map(
    (image): View => [image.laterality, image.viewPosition],
  );
  const has = (view: View) => there.some((other) => same(other, view));
  const positions = [...new Set(there.map(([, position]) => position))].sort(byName);
  return positions.flatMap((position) => {
    const rows: View[][] = [];
    const pair: readonly View[] = [
      ["R", position],
      ["L", position],
    ];
    if (!STANDARD.some(([, usual]) => usual === position) && pair.some(has)) rows.push([...pair]);
    if (has([null, position])) rows.push([[null, position]]);
    return rows;
  });
}

function placeOf(exam: Exam, which: Place["exam"], view: View): Place {
  const here = (object: ExamImage | RefusedObject) =>
    same([object.laterality, object.viewPosition], view);
  return {
    laterality: view[0],
    viewPosition: view[1],
    exam: which,
    examDate: exam.date,
    images: exam.images.filter(here).sort(byRank),
    refused: exam.refused.filter(here),
  };
}

const KIND_RANK = { "2d": 0, "synthetic-2d": 1, tomosynthesis: 2 } as const;

/** Plain pictures before modified ones, exposed before computed ones, later before earlier. */
function byRank(a: ExamImage, b: ExamImage): number {
  const modified = Math.sign(a.viewModifiers.length) - Math.sign(b.viewModifiers.length);
  if (modified !== 0) return modified;
  const kind = KIND_RANK[a.kind] - KIND_RANK[b.kind];
  if (kind !== 0) return kind;
  return `${b.date ?? ""}${b.time ?? ""}`.localeCompare(`${a.date ?? ""}${a.time ?? ""}`);
}

function same(a: View, b: View): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

function byName(a: ViewPosition | null, b: ViewPosition | null): number {
  return (a ?? "~").localeCompare(b ?? "~");
}

function named([laterality, position]: View): string {
  return `${laterality ?? "unknown"}-${position ?? "unknown"}`;
}
