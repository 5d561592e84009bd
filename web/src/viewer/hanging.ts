/**
 * The steps in which an exam is read: four-up → right pair → left pair → CC pair → MLO pair →
 * other views → several pictures of one view → each picture at one pixel per pixel → next exam.
 *
 * A step is a grid of places. A place holds every picture of one view, so that none is hidden, and
 * says so where the exam has none. Pure: exams in, steps out.
 */

import type { Exam, ExamImage, Laterality, RefusedObject, ViewPosition } from "./exam";

export type StepKind = "grid" | "fields";

export interface Step {
  /** "four-up", "right-pair", …, "other-R-ML", "more-R-CC-1", "fields-R-CC", "fields-R-CC-2", … */
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

/** A view with all its pictures, or with some of them. */
interface Entry {
  readonly view: View;
  readonly images?: readonly ExamImage[];
}

/**
 * All steps of an exam. Going through them shows every picture, also the second one of a view.
 *
 * @param prior the exam to hang beside it, or null. Each prior picture hangs at the outer side of
 *   its current one, so that current breasts stay back to back.
 */
export function hangingSteps(exam: Exam, prior: Exam | null): readonly Step[] {
  const step = (id: string, kind: StepKind, columns: number, entries: readonly Entry[]): Step => {
    const current = entries.map((entry) => placeOf(exam, "current", entry));
    if (prior === null) return { id, kind, columns, places: current };
    const places = current.flatMap((place, i) => {
      const beside = placeOf(prior, "prior", { view: entries[i].view });
      return place.laterality === "L" ? [place, beside] : [beside, place];
    });
    return { id, kind, columns: 2 * columns, places };
  };
  const pair = (id: string, ...views: readonly View[]) =>
    step(
      id,
      "grid",
      Math.min(views.length, 2),
      views.map((view) => ({ view })),
    );
  const rows = otherRows(exam);
  const views = [...STANDARD, ...rows.flat()];
  return [
    pair("four-up", ...STANDARD),
    pair("right-pair", RCC, RMLO),
    pair("left-pair", LCC, LMLO),
    pair("cc-pair", RCC, LCC),
    pair("mlo-pair", RMLO, LMLO),
    ...rows.map((row) => pair(`other-${named(row[0])}`, ...row)),
    ...views.flatMap((view) => moreSteps(exam, view, step)),
    ...views.flatMap((view) =>
      imagesOf(exam, view)
        .filter((image) => image.frames === 1)
        .map((image, i) => {
          const id = `fields-${named(view)}${i === 0 ? "" : `-${i + 1}`}`;
          return step(id, "fields", 1, [{ view, images: [image] }]);
        }),
    ),
  ];
}

type MakeStep = (id: string, kind: StepKind, columns: number, entries: readonly Entry[]) => Step;

/** The pictures of a view beside each other, where it has several: at most four in a step. */
function moreSteps(exam: Exam, view: View, step: MakeStep): readonly Step[] {
  const images = imagesOf(exam, view);
  if (images.length < 2) return [];
  const steps: Step[] = [];
  for (let from = 0; from < images.length; from += MOST_BESIDE) {
    const some = images.slice(from, from + MOST_BESIDE);
    const entries = some.map((image) => ({ view, images: [image] }));
    steps.push(step(`more-${named(view)}-${from + 1}`, "grid", entries.length, entries));
  }
  return steps;
}

/** With priors beside them these are eight, as many as are kept in memory. */
const MOST_BESIDE = 4;

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

function placeOf(exam: Exam, which: Place["exam"], { view, images }: Entry): Place {
  return {
    laterality: view[0],
    viewPosition: view[1],
    exam: which,
    examDate: exam.date,
    images: images ?? imagesOf(exam, view),
    refused: exam.refused.filter((object) => same([object.laterality, object.viewPosition], view)),
  };
}

function imagesOf(exam: Exam, view: View): readonly ExamImage[] {
  return exam.images
    .filter((image) => same([image.laterality, image.viewPosition], view))
    .sort(byRank);
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
