/** When an exam may be called low; the only place that decides it, as `mammolens.analysis.low`. */

import tables from "../tables.json";
import {
  type Caution,
  type Header,
  type ImageRef,
  mayShowBreast,
  type Side,
  type Unreadable,
  type View,
} from "../types";

export interface ScoredImage {
  readonly ref: ImageRef;
  readonly header: Header;
  readonly cautions: readonly Caution[];
}

export type Slot = readonly [Side | null, View | null];

export const STANDARD_VIEWS = tables.standardViews as unknown as readonly (readonly [Side, View])[];
const ABSENT: readonly (readonly [code: string, side: Side])[] = [
  ["Z90.11", "R"],
  ["Z90.12", "L"],
];
const ICD = ["I10C", "I10", "ICD10CM", "ICD-10-CM"];
const CAPTURES = ["", ".1", ".2", ".3", ".4"].map((end) => `1.2.840.10008.5.1.4.1.1.7${end}`);
const NAMED = 3;

/** Reasons in words, most important first; empty if the exam may be low. */
export function reasonsAgainstLow(
  images: readonly ScoredImage[],
  refused: readonly Unreadable[],
  cautions: readonly Caution[],
): string[] {
  return [...missing(images), ...passedOver(images, refused), ...doubts(images, cautions)];
}

/** The standard views that an exam called low does not have. */
export function completeWithout(images: readonly ScoredImage[]): string {
  return STANDARD_VIEWS.filter((view) => !has(images, view))
    .map(viewName)
    .join(", ");
}

export function viewName([side, view]: Slot): string {
  if (side === null && view === null) return "unknown view";
  return (side ?? "side? ") + (view ?? " view?");
}

function has(images: readonly ScoredImage[], [side, view]: Slot): boolean {
  return images.some(({ ref }) => ref.side === side && ref.view === view);
}

function missing(images: readonly ScoredImage[]): string[] {
  const absent = absentBreasts(images);
  const views = STANDARD_VIEWS.filter((view) => !has(images, view) && !absent.has(view[0]));
  return views.length ? [`not scored: ${views.map(viewName).join(", ")}`] : [];
}

/** Breasts that a coded diagnosis calls absent, and that no picture shows. */
function absentBreasts(images: readonly ScoredImage[]): Set<Side> {
  const codes = new Set(
    images
      .flatMap(({ header }) => header.diagnoses)
      .filter(([, scheme]) => ICD.includes(scheme.trim().toUpperCase()))
      .map(([value]) => value.trim().toUpperCase()),
  );
  const found = ABSENT.filter(([code, side]) => {
    return codes.has(code) && !images.some(({ ref }) => ref.side === side);
  });
  return new Set(found.map(([, side]) => side));
}

function passedOver(images: readonly ScoredImage[], refused: readonly Unreadable[]): string[] {
  const count = refused.filter((item) => mayShowBreast(item.kind) && !shownBy(images, item)).length;
  if (!count) return [];
  const [noun, verb] = count === 1 ? ["object", "was"] : ["objects", "were"];
  return [`${count} ${noun} that may show a breast ${verb} not analysed`];
}

/** Whether scored pictures show everything that a refused object can show. */
function shownBy(images: readonly ScoredImage[], { ref, header }: Unreadable): boolean {
  if (ref === null || header === null) return false;
  if (header.classUid !== null && CAPTURES.includes(header.classUid)) {
    return images.some(({ ref }) => ref.instanceUid && header.sourceUids.includes(ref.instanceUid));
  }
  if (ref.intent !== "FOR PROCESSING") return false;
  const uid = ref.instanceUid;
  if (uid !== null && images.some(({ header }) => header.sourceUids.includes(uid))) return true;
  if (ref.side === null || ref.view === null) return false;
  return images.some((image) => {
    const sameView = image.ref.side === ref.side && image.ref.view === ref.view;
    return sameView && oneExposure(header, image.header, images);
  });
}

/** A time of acquisition proves it only to the second, and if no other picture has it. */
function oneExposure(one: Header, other: Header, images: readonly ScoredImage[]): boolean {
  if (one.eventUid && other.eventUid) return one.eventUid === other.eventUid;
  const moment = one.acquisitionTime;
  if (moment === null || moment.length < 6 || moment !== other.acquisitionTime) return false;
  return images.filter(({ header }) => header.acquisitionTime === moment).length === 1;
}

function doubts(images: readonly ScoredImage[], cautions: readonly Caution[]): string[] {
  const noted = [...cautions, ...images.flatMap((image) => image.cautions)];
  const found = [...new Set(noted.filter((c) => c.doubt).map((c) => c.message))];
  const more = found.length - NAMED;
  return more > 0 ? [...found.slice(0, NAMED), `${more} further doubts`] : found;
}
