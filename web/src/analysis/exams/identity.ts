/** Identity of the patient of an image, as `mammolens.exams.identity`. */

import { type Caution, doubt, type Header, type ImageRef } from "../types";

const PLACEHOLDER =
  /^(?:anon(?:ym[\p{L}\p{N}_]*)?|removed|unknown|none|null|na|nan|nil|noid|nopatientid|deid[\p{L}\p{N}_]*|redacted|hidden|blank|empty|patient|test|dummy|0+|9{4,}|x+)$/iu;

export interface Source {
  readonly ref: ImageRef;
  readonly header: Header;
}

/** Whether a PatientID does not identify a patient. */
export function isPlaceholder(patientId: string | null): boolean {
  const bare = (patientId ?? "").replace(/[^\p{L}\p{N}]+/gu, "");
  return bare === "" || PLACEHOLDER.test(bare);
}

function plainName(name: string | null): string {
  const [first] = (name ?? "").normalize("NFKC").split("=");
  return first.replaceAll("^", " ").toLowerCase().split(/\s+/).filter(Boolean).join(" ");
}

/** Images of one study whose values differ belong to different exams. */
export function identityOf(ref: ImageRef, header: Header): (string | null)[] {
  const name = plainName(header.patientName);
  const patient = [ref.patientId, name, header.birthDate];
  if (!isPlaceholder(ref.patientId) || (header.birthDate && !isPlaceholder(name))) return patient;
  return [...patient, header.studyDate, header.accession, header.patientAge, ref.acquisitionDate];
}

/** Each attribute in which the images of one exam differ is a doubt. */
export function identityCautions(sources: readonly Source[]): Caution[] {
  const attributes: [string, (h: Header) => string | null][] = [
    ["PatientSex", (h) => h.patientSex],
    ["StudyDate", (h) => h.studyDate],
    ["AccessionNumber", (h) => h.accession],
    ["IssuerOfPatientID", (h) => h.issuer],
  ];
  if (sources.every(({ ref }) => isPlaceholder(ref.patientId))) {
    attributes.push(["DeviceSerialNumber", (h) => h.serial]);
    attributes.push(["InstitutionName", (h) => h.institution]);
  }
  return attributes
    .filter(
      ([, read]) => new Set(sources.map(({ header }) => read(header)).filter(Boolean)).size > 1,
    )
    .map(([keyword]) => {
      const text =
        `the images of this exam have different values of ${keyword}: they may show several` +
        " patients";
      return doubt("identity_disagrees", text);
    });
}
