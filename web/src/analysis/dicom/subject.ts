/** Refuses pictures of something else than a patient's breast, as `mammolens...dicom.subject`. */

import tables from "../tables.json";
import { Refusal } from "../types";
import { among, readDescription, readViewPosition, TOPIC } from "../words/descriptions";
import type { Tags } from "./tags";

export const SERIES_TEXTS = [
  "SeriesDescription",
  "ProtocolName",
  "AcquisitionProtocolName",
  "AcquisitionProtocolDescription",
  "PartialViewDescription",
];
export const STUDY_TEXTS = [
  "StudyDescription",
  "PerformedProcedureStepDescription",
  "RequestedProcedureDescription",
  "ImageComments",
];
const CODED = ["ViewCodeSequence", "AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"];
const SUBJECTS = [TOPIC.SPECIMEN, TOPIC.PHANTOM, TOPIC.QUALITY];
const PLACEHOLDER = /^z*(?:test|dummy|demo|muster)(?:pat|patient|person|frau|mann)?\p{Nd}*$/iu;

/** A proven subject that is not a breast of a patient, and what proves it. */
export function provenSubject(tags: Tags): { what: string; keyword: string } | null {
  if (tags.code("QualityControlImage") === "YES") {
    return { what: TOPIC.QUALITY, keyword: "QualityControlImage" };
  }
  const part = readDescription(tags.text("BodyPartExamined") ?? "").topics;
  for (const what of [TOPIC.PHANTOM, TOPIC.SPECIMEN]) {
    if (part.has(what)) return { what, keyword: "BodyPartExamined" };
  }
  for (const keyword of CODED) {
    for (const [value] of tags.codes(keyword)) {
      const code = value.toUpperCase();
      if (tables.specimens.includes(code)) return { what: TOPIC.SPECIMEN, keyword };
      if (tables.phantoms.includes(code)) return { what: TOPIC.PHANTOM, keyword };
    }
  }
  if (tags.items("SpecimenDescriptionSequence").length) {
    return { what: TOPIC.SPECIMEN, keyword: "SpecimenDescriptionSequence" };
  }
  if (tags.text("ContainerIdentifier")) {
    return { what: TOPIC.SPECIMEN, keyword: "ContainerIdentifier" };
  }
  return null;
}

/** Refuses a picture that does not show a patient's breast; doubts an unclear one. */
export function subjectRefusal(tags: Tags): Refusal | null {
  const proven = provenSubject(tags);
  if (proven !== null) return refusal(tags, proven.what, proven.keyword);
  for (const keyword of CODED) {
    for (const [, , meaning] of tags.codes(keyword)) {
      const [first] = among(readDescription(meaning).topics, SUBJECTS);
      if (first) return refusal(tags, first, keyword);
    }
  }
  for (const value of tags.texts("ViewPosition")) {
    const [first] = among(readViewPosition(value).topics, SUBJECTS);
    if (first) return refusal(tags, first, "ViewPosition");
  }
  for (const keyword of [...SERIES_TEXTS, "ManufacturerModelName", "PaddleDescription"]) {
    const [first] = among(readDescription(tags.text(keyword) ?? "").topics, SUBJECTS);
    if (first) return refusal(tags, first, keyword);
  }
  return byPatient(tags);
}

function byPatient(tags: Tags): Refusal | null {
  for (const keyword of ["PatientName", "PatientID"]) {
    const text = tags.texts(keyword).join("\\");
    const { topics } = readDescription(text);
    if (topics.has(TOPIC.PHANTOM)) return refusal(tags, TOPIC.PHANTOM, keyword);
    if (isPlaceholder(text) || (topics.has(TOPIC.QUALITY) && !/\p{Nd}{4}/u.test(text))) {
      tags.doubt("test_patient", `${keyword} may belong to a test, not to a patient`);
    }
  }
  for (const keyword of SERIES_TEXTS) {
    if (isPlaceholder(tags.text(keyword) ?? "")) {
      tags.doubt("subject_unclear", `${keyword} says that this is a test`);
    }
  }
  if (tags.code("QualityControlImage") === "BOTH") {
    tags.doubt("subject_unclear", "QualityControlImage says that a phantom is also shown");
  }
  for (const keyword of STUDY_TEXTS) {
    for (const topic of among(readDescription(tags.text(keyword) ?? "").topics, SUBJECTS)) {
      tags.doubt("subject_unclear", `${keyword} says that this is ${topic}`);
    }
  }
  return null;
}

function isPlaceholder(text: string): boolean {
  return text.split(/[\^=\s,\\]+/).some((part) => PLACEHOLDER.test(part));
}

function refusal(tags: Tags, what: string, keyword: string): Refusal {
  return new Refusal("NotAMammogram", `this is ${what}, not a breast of a patient`, {
    source: tags.source,
    keyword,
    remedy: "Send images of patients",
  });
}
