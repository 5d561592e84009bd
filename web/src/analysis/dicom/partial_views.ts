/** Refuses magnified and partial views, doubts modified ones, as `mammolens...partial_views`. */

import { general, significant } from "../numbers";
import tables from "../tables.json";
import { type Code, Refusal } from "../types";
import { among, readDescription, readViewPosition, TOPIC } from "../words/descriptions";
import { SERIES_TEXTS, STUDY_TEXTS } from "./subject";
import type { Tags } from "./tags";

const IMPLANT = "breast_implant";
const PARTIAL = "partial_view";
const MODIFIED = "view_modified";
const CONTACT_MAGNIFICATION = 1.3;
const GREATEST_MAGNIFICATION = 4;
const USUAL_SOURCE_TO_DETECTOR_MM = 600;
const FINE_FOCUS_MM = 0.15;
const SMALL_PADDLE_CM = 15;
const LONGEST_PADDLE = 64;
export const PROCESSING_TEXT = "AcquisitionDeviceProcessingDescription";
const REFUSED_CODES = [...tables.refusedParts, TOPIC.AXILLA];
const BIOPSY_TYPES = "STEREO PREFIRE POSTFIRE POSTBIOPSY POSTMARKER TOMO_SCOUT".split(" ");
const ANGLES: Readonly<Record<string, readonly [number, number]>> = { CC: [0, 12], MLO: [20, 80] };
const CODES = tables.modifierCodes as Readonly<Record<string, string>>;

export function partRefusal(tags: Tags): Refusal | null {
  for (const refusal of [byImageType, byCodes, byViewPosition, byScale, byPaddle, byWords]) {
    const error = refusal(tags);
    if (error !== null) return error;
  }
  noteAttributes(tags);
  return null;
}

function modifiersOf(tags: Tags): Code[] {
  const nested = tags
    .inner("ViewCodeSequence")
    .flatMap((item) => item.codes("ViewModifierCodeSequence"));
  return [...nested, ...tags.codes("ViewModifierCodeSequence")];
}

function byImageType(tags: Tags): Refusal | null {
  const values = tags.texts("ImageType").map((value) => value.toUpperCase());
  const found = values.some((value) => BIOPSY_TYPES.some((start) => value.startsWith(start)));
  return found ? refusal(tags, "an image of a biopsy", "ImageType") : null;
}

function byCodes(tags: Tags): Refusal | null {
  const modifiers = modifiersOf(tags);
  for (const [value, , meaning] of [...tags.codes("ViewCodeSequence"), ...modifiers]) {
    const topics = topicsOf(value, meaning);
    const [refused] = among(topics, REFUSED_CODES);
    if (refused) return refusal(tags, refused, "ViewModifierCodeSequence");
    note(tags, topics, "the view code");
  }
  for (const [value, , meaning] of modifiers) {
    if (!topicsOf(value, meaning).size && (value || meaning)) {
      tags.doubt(MODIFIED, `the view is modified: ${meaning || "the code is unknown"}`);
    }
  }
  return null;
}

function topicsOf(value: string, meaning: string): ReadonlySet<string> {
  const known = CODES[value.toUpperCase()];
  return known === undefined ? readDescription(meaning).topics : new Set([known]);
}

function byViewPosition(tags: Tags): Refusal | null {
  const written = tags.texts("ViewPosition").map((value) => ["ViewPosition", value]);
  const clinical = tags.clinicalView();
  if (clinical !== null) written.push(["Clinical View", clinical]);
  for (const [keyword, value] of written) {
    const found = readViewPosition(value);
    const refused =
      found.view === "CV" ? TOPIC.CLEAVAGE : among(found.topics, tables.refusedParts)[0];
    if (refused) return refusal(tags, refused, keyword);
    const topics = found.view === "AT" ? [...found.topics, TOPIC.TAIL] : found.topics;
    note(tags, new Set(topics), keyword);
  }
  return null;
}

/** A magnified picture, by its stated factor or by the distances of the exposure. */
function byScale(tags: Tags): Refusal | null {
  const keyword = "EstimatedRadiographicMagnificationFactor";
  const stated = tags.numbers(keyword);
  if (!stated.length && tags.holds(keyword)) {
    tags.doubt(MODIFIED, `the picture may be magnified: ${keyword} cannot be read`);
  }
  const factor = Math.max(...(stated.length ? stated : [0]));
  if (factor > CONTACT_MAGNIFICATION) {
    return refusal(tags, `magnified ${general(factor)} times`, keyword);
  }
  for (const distance of ["DistanceSourceToPatient", "DistanceSourceToEntrance"]) {
    const ratio = ratioOf(tags, distance);
    if (ratio === null || ratio <= CONTACT_MAGNIFICATION) continue;
    const times = significant(ratio, 2);
    if (stated.length || !tags.numbers("DistanceSourceToDetector").length) {
      tags.doubt(MODIFIED, `the picture may be magnified ${times} times, by ${distance}`);
    } else return refusal(tags, `magnified ${times} times`, distance);
  }
  noteSpacing(tags);
  return byFocus(tags);
}

function noteSpacing(tags: Tags): void {
  const [atDetector = 0] = tags.numbers("ImagerPixelSpacing");
  const [atBreast = 0] = tags.numbers("PixelSpacing");
  if (atBreast > 0 && atDetector / atBreast > CONTACT_MAGNIFICATION) {
    tags.doubt(MODIFIED, "the picture may be magnified, by ImagerPixelSpacing and PixelSpacing");
  }
}

function byFocus(tags: Tags): Refusal | null {
  const spots = tags.numbers("FocalSpots");
  const focus = Math.max(...(spots.length ? spots : [0]));
  if (!(focus > 0 && focus <= FINE_FOCUS_MM)) return null;
  if (tags.code("Grid") === "NONE") {
    return refusal(tags, "a fine focus and no grid, as for magnified views", "FocalSpots");
  }
  tags.doubt(MODIFIED, "FocalSpots is as small as for magnified views");
  return null;
}

function ratioOf(tags: Tags, keyword: string): number | null {
  const [nearer = 0] = tags.numbers(keyword);
  const [further = 0] = tags.numbers("DistanceSourceToDetector");
  if (nearer <= 0) return null;
  const ratio = (further > 0 ? further : USUAL_SOURCE_TO_DETECTOR_MM) / nearer;
  const mixed = ratio > GREATEST_MAGNIFICATION && ratio < 10 * GREATEST_MAGNIFICATION;
  return mixed ? ratio / 10 : ratio;
}

function byPaddle(tags: Tags): Refusal | null {
  const text = [...(tags.text("PaddleDescription") ?? "")].slice(0, LONGEST_PADDLE).join("");
  const { topics } = readDescription(text);
  const [refused] = among(topics, tables.refusedParts);
  if (refused) return refusal(tags, refused, "PaddleDescription");
  note(tags, topics, "PaddleDescription");
  if (!isSmall(text)) return null;
  if (tags.code("Grid") === "NONE") {
    return refusal(tags, "a small paddle and no grid, as for magnified views", "Grid");
  }
  tags.doubt(MODIFIED, "PaddleDescription describes a paddle for a part of the breast");
  return null;
}

function isSmall(paddle: string): boolean {
  if (/(?<![\p{L}\p{N}_])quad/iu.test(paddle)) return true;
  const sizes = /(\d+(?:[.,]\d+)?)\s*(?:x\s*(\d+(?:[.,]\d+)?)\s*)?cm/i.exec(paddle);
  if (sizes === null) return false;
  const lengths = [sizes[1], sizes[2]].map((s) => Number((s ?? "0").replace(",", ".")));
  return Math.max(...lengths) <= SMALL_PADDLE_CM;
}

function byWords(tags: Tags): Refusal | null {
  for (const keyword of [...SERIES_TEXTS, PROCESSING_TEXT]) {
    const { topics } = readDescription(tags.text(keyword) ?? "");
    const [refused] = among(topics, tables.refusedParts);
    if (refused) return refusal(tags, refused, keyword);
    note(tags, topics, keyword);
  }
  const doubted = [...tables.refusedParts, ...tables.doubtedParts];
  for (const keyword of STUDY_TEXTS) {
    note(tags, readDescription(tags.text(keyword) ?? "").topics, keyword, doubted);
  }
  return null;
}

function noteAttributes(tags: Tags): void {
  if (tags.code("BreastImplantPresent") === "YES") tags.doubt(IMPLANT, "the breast has an implant");
  if (tags.code("PartialView") === "YES") {
    tags.doubt(PARTIAL, "the image shows a part of the breast");
  }
  noteAngle(tags);
}

/** Doubts a view if the angle of the tube does not fit its name, as in a stereo pair. */
function noteAngle(tags: Tags): void {
  const [angle] = tags.numbers("PositionerPrimaryAngle");
  const position = tags.text("ViewPosition");
  if (angle === undefined || position === null) return;
  const turned = (((angle + 90) % 180) + 180) % 180;
  const fromVertical = Math.abs(turned - 90);
  const view = readViewPosition(position).view;
  if (view === null || !ANGLES[view]) return;
  const [low, high] = ANGLES[view];
  if (fromVertical < low || fromVertical > high) {
    const degrees = fromVertical.toFixed(0);
    const text = `the tube was ${degrees}° from the vertical, unusual for ${view}`;
    tags.doubt("view_angle", text);
  }
}

function note(
  tags: Tags,
  topics: ReadonlySet<string>,
  source: string,
  doubted: readonly string[] = tables.doubtedParts,
): void {
  for (const topic of [...topics].sort()) {
    if (topic === TOPIC.IMPLANT) tags.doubt(IMPLANT, "the breast has an implant");
    else if (topic === TOPIC.PARTIAL) tags.doubt(PARTIAL, "the image shows a part of the breast");
    else if (topic === TOPIC.NIPPLE) tags.caution(MODIFIED, `${source} says that this is ${topic}`);
    else if (doubted.includes(topic)) tags.doubt(MODIFIED, `${source} says that this is ${topic}`);
  }
}

function refusal(tags: Tags, what: string, keyword: string): Refusal {
  const text = `the view does not show a whole breast at the usual scale: ${what}`;
  return new Refusal("NotAWholeView", text, {
    source: tags.source,
    keyword,
    remedy: "Send the standard views of the breast",
  });
}
