/** Small exams for tests. */

import type { Exam, ExamImage, Laterality, ViewPosition } from "../../src/viewer/exam";

export function makeImage(
  laterality: Laterality | null,
  viewPosition: ViewPosition | null,
  changes: Partial<ExamImage> = {},
): ExamImage {
  const uid = `1.2.${laterality}.${viewPosition}`;
  return {
    sopInstanceUid: uid,
    seriesInstanceUid: `${uid}.1`,
    kind: "2d",
    laterality,
    viewPosition,
    viewModifiers: [],
    date: "2026-10-01",
    time: "10:15:00",
    labels: [],
    rows: 400,
    columns: 300,
    frames: 1,
    bitsAllocated: 16,
    bitsStored: 12,
    highBit: 11,
    signed: false,
    photometric: "MONOCHROME2",
    pixelAspect: 1,
    spacing: { imager: [0.07, 0.07], magnification: null, calibrated: null, documented: null },
    orientation: {
      patientOrientation: null,
      chestWallEdge: laterality === "R" ? "right" : "left",
    },
    modality: { kind: "rescale", slope: 1, intercept: 0 },
    voi: [{ kind: "window", center: 2048, width: 4096, function: "LINEAR", name: null }],
    presentationLutShape: null,
    padding: null,
    breastBox: null,
    preview: { url: `/preview/${uid}`, rows: 90, columns: 68 },
    framesUrl: `/frames/${uid}`,
    ...changes,
  };
}

export function makeExam(changes: Partial<Exam> = {}): Exam {
  return {
    id: "1",
    studyInstanceUid: "1.2.3",
    patient: { name: "Sample^Ann", id: "S-1", birthDate: "1960-01-01", ageYears: 66 },
    accessionNumber: "A1",
    date: "2026-10-01",
    images: [
      makeImage("R", "CC"),
      makeImage("L", "CC"),
      makeImage("R", "MLO"),
      makeImage("L", "MLO"),
    ],
    refused: [],
    priors: [],
    ai: { state: "none" },
    doubts: [],
    banner: null,
    ...changes,
  };
}
