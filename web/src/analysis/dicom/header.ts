/** Reference and header of a DICOM image, as `mammolens.images.dicom.header`. */

import { general } from "../numbers";
import type { Header, ImageRef } from "../types";
import { ageOf, CHILD_YEARS } from "./ages";
import type { Tags } from "./tags";
import { dicomSideAndView } from "./views";

export function imageRef(tags: Tags): ImageRef {
  const [side, view] = dicomSideAndView(tags);
  const spacing = spacingMm(tags);
  const [ageYears, notes] = ageOf(tags);
  tags.notes.list.push(...notes);
  notePatient(tags, ageYears);
  const intent = tags.code("PresentationIntentType");
  if (tags.texts("ImageType").includes("GENERATED_2D")) {
    tags.caution("synthetic_2d", "the view was computed from a tomosynthesis stack");
  }
  return {
    path: tags.source,
    patientId: tags.texts("PatientID").join("\\") || null,
    studyUid: tags.text("StudyInstanceUID"),
    seriesUid: tags.text("SeriesInstanceUID"),
    instanceUid: tags.text("SOPInstanceUID"),
    side,
    view,
    intent: intent === "FOR PROCESSING" || intent === "FOR PRESENTATION" ? intent : null,
    aspect: aspectOf(tags, spacing),
    ageYears,
    acquisitionDate: tags.text("AcquisitionDate"),
    digest: null,
  };
}

export function sourceHeader(tags: Tags): Header {
  return {
    isDicom: true,
    classUid: tags.text("SOPClassUID"),
    patientName: tags.texts("PatientName").join("\\") || null,
    patientSex: tags.text("PatientSex"),
    birthDate: tags.text("PatientBirthDate"),
    accession: tags.text("AccessionNumber"),
    studyDate: tags.text("StudyDate"),
    contentDate: tags.text("ContentDate"),
    patientAge: tags.texts("PatientAge").join("\\") || null,
    issuer: tags.text("IssuerOfPatientID"),
    acquisitionTime: tags.text("AcquisitionTime"),
    eventUid: tags.text("IrradiationEventUID"),
    sourceUids: tags
      .inner("SourceImageSequence")
      .map((item) => item.text("ReferencedSOPInstanceUID"))
      .filter((uid) => uid !== null),
    serial: tags.text("DeviceSerialNumber"),
    institution: tags.text("InstitutionName"),
    diagnoses: tags.codes("AdmittingDiagnosesCodeSequence"),
  };
}

function spacingMm(tags: Tags): readonly [number, number] | null {
  for (const keyword of ["ImagerPixelSpacing", "PixelSpacing"]) {
    const values = tags.numbers(keyword);
    if (values.length === 2 && values.every((value) => value > 1e-4 && value < 10)) {
      return [values[0], values[1]];
    }
    if (values.length) {
      tags.caution("spacing_ignored", `${keyword} is impossible and was ignored`);
    }
  }
  return null;
}

/** Height of a pixel divided by its width. */
function aspectOf(tags: Tags, spacing: readonly [number, number] | null): number {
  const values = tags.numbers("PixelAspectRatio");
  let aspect = 1;
  if (values.length === 2 && values[1] !== 0) aspect = values[0] / values[1];
  else if (spacing !== null) aspect = spacing[0] / spacing[1];
  else return 1;
  if (aspect > 0.1 && aspect < 10) return aspect;
  const text = `a pixel aspect of ${general(aspect)} is impossible and was ignored`;
  tags.caution("aspect_ignored", text);
  return 1;
}

function notePatient(tags: Tags, ageYears: number | null): void {
  const sex = (tags.code("PatientSex") ?? "")[0];
  let who: string | null = null;
  if (sex === "M") who = "men (PatientSex is M)";
  if (sex === "O") who = "patients of another sex (PatientSex is O)";
  if (ageYears !== null && ageYears < CHILD_YEARS) who = "children";
  if (who !== null) tags.doubt("patient_not_validated", `the model was not validated for ${who}`);
}
