/**
 * A result of the analysis on the device as the viewer shows an exam. The addresses of its pictures
 * are names in this page (`/device/…`), which no request ever asks for. Pure.
 */

import type { Look } from "../../analysis/look";
import type { Geometry } from "../../analysis/picture/geometry";
import { turnBox } from "../../analysis/picture/geometry";
import type { ImagePrediction, Prediction } from "../../analysis/score/exam";
import type { Caution, Voi as HeaderVoi } from "../../analysis/types";
import type { AiImage, AiMap, AiResult, Box, Edge, Exam, ExamImage, Voi } from "../../viewer/exam";
import { outlinesIn } from "./outlines";

const PLACE = "/device/";

export function previewUrl(path: string): string {
  return `${PLACE}preview/${encodeURIComponent(path)}`;
}

/** What an address of the viewer asks for; null: it is none of ours. */
export function askedFor(url: string): { kind: "preview" | "pixels"; path: string } | null {
  const found = /^\/device\/(preview|frames)\/([^/]+)/.exec(url);
  if (found === null) return null;
  return { kind: found[1] === "frames" ? "pixels" : "preview", path: decodeURIComponent(found[2]) };
}

/** @param looks by the path of the image */
export function examOf(prediction: Prediction, looks: ReadonlyMap<string, Look>, id: string): Exam {
  const { images, unreadable } = prediction;
  const header = images[0]?.header ?? unreadable.find((one) => one.header !== null)?.header;
  const age = images.map(({ ref }) => ref.ageYears).find((years) => years !== null);
  return {
    id,
    studyInstanceUid: prediction.studyUid ?? "",
    patient: {
      name: header?.patientName ?? null,
      id: prediction.patientId,
      birthDate: dashed(header?.birthDate ?? null),
      ageYears: age ?? null,
    },
    accessionNumber: header?.accession ?? null,
    date: dashed(header?.studyDate ?? null),
    images: images.flatMap((image) => {
      const look = looks.get(image.ref.path);
      return look === undefined ? [] : [imageOf(image, look)];
    }),
    refused: unreadable.map(({ ref, message }) => ({
      sopInstanceUid: ref?.instanceUid ?? null,
      laterality: ref?.side ?? null,
      viewPosition: ref?.view ?? null,
      reason: message,
    })),
    priors: [],
    ai: aiOf(prediction),
    doubts: doubtsOf(prediction),
    banner: null,
  };
}

/** Notes that say why a result is withheld, or why there is none. */
const REASONS = ["low_withheld", "not_validated", "model_failed", "exam_failed"];

/** What keeps the result from being trusted, each thing once. */
export function doubtsOf(prediction: Prediction): readonly string[] {
  return cautionsOf(prediction, true);
}

/** Everything else that was noted. */
export function notesOf(prediction: Prediction): readonly string[] {
  return cautionsOf(prediction, false);
}

function cautionsOf({ cautions, images }: Prediction, areReasons: boolean): readonly string[] {
  const all = [...cautions, ...images.flatMap((image) => image.cautions)];
  const isReason = ({ doubt, name }: Caution) => doubt || REASONS.includes(name);
  const found = all.filter((caution) => isReason(caution) === areReasons);
  return [...new Set(found.map(({ message }) => message))];
}

function imageOf(image: ImagePrediction, look: Look): ExamImage {
  const { ref, geometry } = image;
  return {
    sopInstanceUid: nameOf(image),
    seriesInstanceUid: ref.seriesUid ?? "",
    kind: "2d",
    laterality: ref.side,
    viewPosition: ref.view,
    viewModifiers: [],
    date: dashed(ref.acquisitionDate),
    time: null,
    labels: [],
    rows: look.rows,
    columns: look.cols,
    frames: 1,
    bitsAllocated: 16,
    bitsStored: 16,
    highBit: 15,
    signed: false,
    photometric: image.photometric,
    pixelAspect: ref.aspect,
    spacing: { imager: null, magnification: null, calibrated: null, documented: null },
    orientation: orientationOf(geometry),
    modality: { kind: "rescale", slope: look.slope, intercept: look.intercept },
    voi: voiOf(image.voi, look),
    presentationLutShape: null,
    padding: null,
    breastBox: geometry.crop,
    preview: { url: previewUrl(ref.path), rows: look.previewRows, columns: look.previewCols },
    framesUrl: `${PLACE}frames/${encodeURIComponent(ref.path)}`,
  };
}

/** Pictures without a header have no UID: their path names them. */
function nameOf({ ref }: ImagePrediction): string {
  return ref.instanceUid ?? ref.path;
}

/** A window for tissue first, as a header's own may burn out the breast. */
function voiOf(given: HeaderVoi | null, { tissue, extent }: Look): [Voi, ...Voi[]] {
  const window = ([low, high]: readonly [number, number], name: string): Voi => ({
    kind: "window",
    center: (low + high) / 2,
    width: Math.max(high - low, 1),
    function: "LINEAR_EXACT",
    name,
  });
  const choices: [Voi, ...Voi[]] = [window(tissue, "2–99.5 %")];
  if (given?.kind === "window") choices.push({ ...given, name: null });
  if (given?.kind === "table") {
    choices.push({ kind: "table", first: given.first, values: [...given.values], name: null });
  }
  return [...choices, window(extent, "min–max")] as [Voi, ...Voi[]];
}

const AROUND: readonly Edge[] = ["left", "top", "right", "bottom"];
const OPPOSITE: Readonly<Record<string, string>> = { A: "P", P: "A", H: "F", F: "H" };

/** How the picture was found to lie: stated as a header would, so that it hangs upright. */
export function orientationOf({ flipped, quarterTurns }: Geometry): ExamImage["orientation"] {
  const upright: Edge = flipped ? "right" : "left";
  const edge = AROUND[(AROUND.indexOf(upright) + 4 - quarterTurns) % 4];
  let [row, column] = [flipped ? "P" : "A", "F"];
  for (let n = 0; n < quarterTurns; n++) [row, column] = [column, OPPOSITE[row]];
  return { patientOrientation: [row, column], chestWallEdge: edge };
}

function aiOf(prediction: Prediction): AiResult {
  const { scores, category, model, cautions } = prediction;
  if (scores === null || category === "failed") {
    return { state: "failed", reason: cautions.map(({ message }) => message).join("; ") };
  }
  return {
    state: "available",
    model: `${model.name} ${model.version}`,
    category,
    malignant: scores.malignant,
    prevalence: prediction.prevalence,
    images: prediction.images.map(aiImageOf),
  };
}

function aiImageOf(image: ImagePrediction): AiImage {
  const map = mapOf(image);
  return {
    sopInstanceUid: nameOf(image),
    malignant: image.scores.malignant,
    findings: image.findings.map(({ box, score }) => ({
      box,
      score,
      outlines: outlinesIn(map, box),
    })),
    map,
  };
}

/** The map as the stored picture lies; as `map_grid` of `mammolens.serve.viewer.overlay`. */
function mapOf({ geometry, malignancyMap, mapLevel }: ImagePrediction): AiMap {
  const { flipped, quarterTurns, sourceShape } = geometry;
  let [rows, columns] = [malignancyMap.rows, malignancyMap.cols];
  let values = Array.from(malignancyMap.data, (value) => value / mapLevel);
  if (flipped) {
    values = values.map((_, i) => values[i - (i % columns) + (columns - 1 - (i % columns))]);
  }
  for (let n = 0; n < quarterTurns; n++) {
    // Counter-clockwise: the last column becomes the first row.
    const turned = new Array<number>(values.length);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        turned[(columns - 1 - x) * rows + y] = values[y * columns + x];
      }
    }
    [rows, columns, values] = [columns, rows, turned];
  }
  const upright: readonly [number, number] =
    quarterTurns % 2 ? [sourceShape[1], sourceShape[0]] : sourceShape;
  const box = turnBox(frameBox(geometry), upright, -quarterTurns);
  return { rows, columns, box, seen: geometry.crop, values };
}

/** The whole prepared frame in pixels of the upright picture, beyond its edges too. */
function frameBox(geometry: Geometry): Box {
  const { scaledShape, offset, preparedShape, flipped, sourceShape, quarterTurns } = geometry;
  const [r0, c0, r1, c1] = turnBox(geometry.crop, sourceShape, quarterTurns);
  const [down, across] = [scaledShape[0] / (r1 - r0), scaledShape[1] / (c1 - c0)];
  let [near, far] = [-offset[1], preparedShape[1] - offset[1]];
  if (flipped) [near, far] = [scaledShape[1] - far, scaledShape[1] - near];
  return [
    r0 - offset[0] / down,
    c0 + near / across,
    r0 + (preparedShape[0] - offset[0]) / down,
    c0 + far / across,
  ];
}

function dashed(date: string | null): string | null {
  const found = /^(\d{4})-?(\d{2})-?(\d{2})/.exec(date ?? "");
  return found === null ? null : `${found[1]}-${found[2]}-${found[3]}`;
}
