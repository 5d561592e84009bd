/**
 * What the server gives the viewer: one exam as JSON. Types only.
 *
 *   GET  <exam url>                     → `Exam` as JSON (UTF-8)
 *   GET  <image.preview.url>            → JPEG or PNG, 8-bit grey, the whole picture as stored
 *   GET  <image.framesUrl>/<n>          → WADO-RS frame n (1-based), PS3.18 10.4:
 *        multipart/related with one part; the part's Content-Type carries `transfer-syntax`
 *        (or the answer is that one part without the envelope).
 *
 * All URLs are absolute paths of the same host. Rules for the server:
 * - Unknown is `null`. It is never a guess and never a default.
 * - "Source pixels" are those of the stored array, before any turning or mirroring. Coordinates are
 *   continuous: pixel i covers [i, i + 1). Boxes are [row0, column0, row1, column1], half-open.
 *   Points are [x, y] = [column, row].
 * - In second-reader mode the server leaves `ai` at `{ state: "withheld" }` until the first answer
 *   is locked. The viewer hides nothing that the server sent.
 */

export type Laterality = "L" | "R";

/** View Position (0018,5101) and the codes of CID 4014 that mammograms carry. */
export type ViewPosition =
  | "CC"
  | "MLO"
  | "ML"
  | "LM"
  | "LMO"
  | "XCCL"
  | "XCCM"
  | "FB"
  | "SIO"
  | "ISO"
  | "CV"
  | "AT";

/** [row0, column0, row1, column1] in source pixels, half-open. */
export type Box = readonly [number, number, number, number];
/** [x, y] = [column, row] in source pixels. */
export type Point = readonly [number, number];

export interface Exam {
  /** Identifier of the exam on this server, as used in its URLs. */
  readonly id: string;
  readonly studyInstanceUid: string;
  readonly patient: PatientWords;
  readonly accessionNumber: string | null;
  /** Study Date as YYYY-MM-DD. */
  readonly date: string | null;
  /** Every image of the study that can be shown, in any order. */
  readonly images: readonly ExamImage[];
  /** Every object of the study that cannot be shown. The viewer names each of them. */
  readonly refused: readonly RefusedObject[];
  /** Earlier exams of the same patient at the same site, newest first. */
  readonly priors: readonly ExamLink[];
  readonly ai: AiResult;
  /** Doubts about the exam in words, for the reader. */
  readonly doubts: readonly string[];
  /** Text that must be visible at all times, such as "CONSTRUCTED FOR DEVELOPMENT". */
  readonly banner: string | null;
}

export interface PatientWords {
  readonly name: string | null;
  readonly id: string | null;
  /** YYYY-MM-DD. */
  readonly birthDate: string | null;
  readonly ageYears: number | null;
}

export interface ExamLink {
  readonly id: string;
  readonly date: string | null;
  /** Where the `Exam` is read. */
  readonly url: string;
}

export interface RefusedObject {
  readonly sopInstanceUid: string | null;
  readonly laterality: Laterality | null;
  readonly viewPosition: ViewPosition | null;
  /** Why it cannot be shown, in words. */
  readonly reason: string;
}

/** `synthetic-2d` was computed from a tomosynthesis stack; `tomosynthesis` has several frames. */
export type ImageKind = "2d" | "synthetic-2d" | "tomosynthesis";

export interface ExamImage {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly kind: ImageKind;
  readonly laterality: Laterality | null;
  readonly viewPosition: ViewPosition | null;
  /** Short words of the view modifiers: "spot", "magnification", "implant displaced". */
  readonly viewModifiers: readonly string[];
  /** Acquisition Date, else Content Date, else Study Date, as YYYY-MM-DD. */
  readonly date: string | null;
  /** Time of the same as HH:MM:SS. */
  readonly time: string | null;
  /** Further words for the corner: "implant", "secondary capture". */
  readonly labels: readonly string[];

  readonly rows: number;
  readonly columns: number;
  /** Number of Frames; 1 unless `kind` is `tomosynthesis`. */
  readonly frames: number;
  readonly bitsAllocated: 8 | 16;
  readonly bitsStored: number;
  readonly highBit: number;
  /** Pixel Representation (0028,0103) is 1. */
  readonly signed: boolean;
  readonly photometric: "MONOCHROME1" | "MONOCHROME2";
  /** Height of one pixel divided by its width. 1 for square pixels. */
  readonly pixelAspect: number;
  readonly spacing: SpacingFacts;
  readonly orientation: OrientationFacts;

  readonly modality: ModalityLut;
  /**
   * Grey scales to choose from, the first one is shown first. At least one. The server puts its own
   * `tone` first where the header has none, or where the header's burns out the breast.
   */
  readonly voi: readonly [Voi, ...Voi[]];
  /** Presentation LUT Shape (2050,0020). */
  readonly presentationLutShape: "IDENTITY" | "INVERSE" | null;
  /** Pixel Padding Value and Range Limit as a closed range of stored values. */
  readonly padding: readonly [number, number] | null;
  /** The breast as it was found in the picture; null if it was not looked for or not found. */
  readonly breastBox: Box | null;

  readonly preview: { readonly url: string; readonly rows: number; readonly columns: number };
  readonly framesUrl: string;
}

/**
 * Spacings as the header states them, each [row mm, column mm]. `geometry/spacing` decides which
 * one is used and names it. `documented` is a value that the site states for a scanner.
 */
export interface SpacingFacts {
  /** Imager Pixel Spacing (0018,1164): at the detector. */
  readonly imager: readonly [number, number] | null;
  /** Estimated Radiographic Magnification Factor (0018,1114). */
  readonly magnification: number | null;
  /** Pixel Spacing (0028,0030), only with Pixel Spacing Calibration Type (0028,0A02). */
  readonly calibrated: readonly [number, number] | null;
  readonly documented: { readonly mm: readonly [number, number]; readonly by: string } | null;
}

export type Edge = "left" | "right" | "top" | "bottom";

export interface OrientationFacts {
  /** Patient Orientation (0020,0020): direction of the rows and of the columns, such as ["P", "L"]. */
  readonly patientOrientation: readonly [string, string] | null;
  /** The edge of the stored picture along which the chest wall was found to lie; null if unknown. */
  readonly chestWallEdge: Edge | null;
}

export type ModalityLut =
  | { readonly kind: "rescale"; readonly slope: number; readonly intercept: number }
  /** `values[i]` for the stored value `first + i`, clipped at both ends. */
  | { readonly kind: "table"; readonly first: number; readonly values: readonly number[] };

export type VoiFunction = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

/** Grey scales in units of the modality LUT's output. `name` is the header's explanation. */
export type Voi =
  | {
      readonly kind: "window";
      readonly center: number;
      readonly width: number;
      readonly function: VoiFunction;
      readonly name: string | null;
    }
  /** `values[i]` for the modality value `first + i`, clipped at both ends. */
  | {
      readonly kind: "table";
      readonly first: number;
      readonly values: readonly number[];
      readonly name: string | null;
    }
  /**
   * A curve that mammolens derived from the breast: ((v - black) / (white - black)) ** power. It
   * leads to the shown greys, so neither MONOCHROME1 nor the LUT shape inverts it (black > white
   * where they would).
   */
  | {
      readonly kind: "tone";
      readonly black: number;
      readonly white: number;
      readonly power: number;
      readonly name: string | null;
    };

/** Nothing but `available` carries results: a failure is not a score. */
export type AiResult =
  | { readonly state: "none" | "pending" | "withheld" }
  | { readonly state: "failed"; readonly reason: string }
  | {
      readonly state: "available";
      /** Name and version of the model. */
      readonly model: string;
      readonly category: "high" | "intermediate" | "low";
      /** P(malignant) of the exam, and the share of cancers it is stated for. */
      readonly malignant: number;
      readonly prevalence: number;
      readonly images: readonly AiImage[];
    };

export interface AiImage {
  readonly sopInstanceUid: string;
  readonly malignant: number;
  readonly findings: readonly AiFinding[];
  readonly map: AiMap | null;
}

/** A place worth a look. `score` is its strength: 1 is the level from which a finding counts. */
export interface AiFinding {
  readonly box: Box;
  readonly score: number;
  /** Closed lines around it; empty if only the box is known. */
  readonly outlines: readonly (readonly Point[])[];
}

/**
 * The map as a coarse grid of strengths, row by row, in the orientation of the stored picture.
 * Cell (r, c) covers an equal part of `box`, which may reach beyond the picture. The model saw
 * nothing outside `seen`.
 */
export interface AiMap {
  readonly rows: number;
  readonly columns: number;
  readonly box: Box;
  readonly seen: Box;
  readonly values: readonly number[];
}
