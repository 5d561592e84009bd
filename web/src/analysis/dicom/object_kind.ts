/** Kind of a DICOM object as far as its header proves it, as `mammolens...dicom.object_kind`. */

import type { ObjectKind } from "../types";
import { provenSubject } from "./subject";
import type { Tags } from "./tags";

export const STORAGE = "1.2.840.10008.5.1.4.1.1.";
const STACKS = ["13.1.1", "13.1.2", "13.1.3"];
const DOCUMENTS = ["9.", "11.", "88.", "104.", "38.", "78.", "79.", "481.3", "481.5", "481.8"];
const OTHER_IMAGES = "2 3 4 6 12 14 20 30 77 128 130 501 13.1.6 66.4 66.5 66.6 481.1 481.2".split(
  " ",
);
const OTHER_MODALITIES = "US IVUS CT MR NM PT ES OP GM SM XC ECG OCT XA RF".split(" ");
const BREAST = /BREAST|MAMM|MAMA|BRUST|SEIN|SENO|BORST|PECHO|PEITO|AXILL/;
const UNSPECIFIED = ["UNKNOWN", "OTHER", "UNSPECIFIED", "NONE", "NA", "N/A"];

export function objectKind(tags: Tags): ObjectKind {
  const uid = tags.text("SOPClassUID") ?? "";
  const ending = uid.startsWith(STORAGE) ? uid.slice(STORAGE.length) : "";
  if (ending === "1.2" || ending === "1.2.1") {
    if (provenSubject(tags) !== null) return "other_image";
    return isProjection(tags) ? "stack" : "mammogram";
  }
  if (ending === "13.1.4" || ending === "13.1.5") {
    const frames = tags.integer("NumberOfFrames");
    return frames === null || frames === 1 ? "mammogram" : "stack";
  }
  if (STACKS.includes(ending)) return "stack";
  if (DOCUMENTS.some((start) => ending.startsWith(start))) return "document";
  if (within(ending, OTHER_IMAGES)) return "other_image";
  if (within(ending, ["1", "7"])) return kindBySubject(tags);
  // A private or a future class: an object without Rows has no picture.
  if (uid && !tags.text("Rows")) return "document";
  return tags.code("Modality") === "MG" ? "mammogram" : "unknown";
}

/** By the class alone, for a header that was read only in part. */
export function kindByClass(tags: Tags): ObjectKind {
  const uid = tags.text("SOPClassUID") ?? "";
  const ending = uid.startsWith(STORAGE) ? uid.slice(STORAGE.length) : "";
  if (STACKS.includes(ending)) return "stack";
  if (DOCUMENTS.some((start) => ending.startsWith(start))) return "document";
  return within(ending, OTHER_IMAGES) ? "other_image" : "mammogram";
}

function within(ending: string, classes: readonly string[]): boolean {
  return classes.some((one) => ending === one || ending.startsWith(`${one}.`));
}

function kindBySubject(tags: Tags): ObjectKind {
  const modality = tags.code("Modality");
  const part = tags.code("BodyPartExamined");
  if (provenSubject(tags) !== null) return "other_image";
  if (modality === "MG" || isBreast(part)) return "mammogram";
  if (modality !== null && OTHER_MODALITIES.includes(modality)) return "other_image";
  return part !== null && !UNSPECIFIED.includes(part) ? "other_image" : "unknown";
}

export function isProjection(tags: Tags): boolean {
  return tags.texts("ImageType").some((value) => value.toUpperCase() === "TOMO_PROJ");
}

export function isBreast(part: string | null): boolean {
  return part !== null && BREAST.test(part);
}
