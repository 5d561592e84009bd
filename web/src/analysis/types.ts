/** What the analysis works on and gives back; the same facts as in `mammolens.core`. */

export type Side = "L" | "R";
export type View =
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
export const VIEWS: readonly string[] = "CC MLO ML LM LMO XCCL XCCM FB SIO ISO CV AT".split(" ");
export type Photometric = "MONOCHROME1" | "MONOCHROME2";

/** A named note; with `doubt`, the exam is never low. */
export interface Caution {
  readonly name: string;
  readonly message: string;
  readonly doubt: boolean;
}

export function caution(name: string, message: string): Caution {
  return { name, message, doubt: false };
}

export function doubt(name: string, message: string): Caution {
  return { name, message, doubt: true };
}

export type RefusalName =
  | "NotAnImage"
  | "UnsupportedImage"
  | "MissingAttribute"
  | "NotAMammogram"
  | "NotAWholeView"
  | "ModelError"
  | "BadModelPackage"
  | "ContractMismatch"
  | "ConfigError";

/** Says what happened, where, and what to do; its text is that of the Python exception. */
export class Refusal extends Error {
  override readonly name: RefusalName;
  readonly cause_: string;
  readonly keyword: string | null;
  readonly remedy: string | null;

  constructor(
    name: RefusalName,
    cause: string,
    at: { source?: string; keyword?: string; remedy?: string } = {},
  ) {
    const what = at.keyword ? `${cause} [${at.keyword}]` : cause;
    const placed = at.source ? `${at.source}: ${what}` : what;
    super(at.remedy ? `${placed}. ${at.remedy}.` : placed);
    this.name = name;
    this.cause_ = cause;
    this.keyword = at.keyword ?? null;
    this.remedy = at.remedy ?? null;
  }
}

export type Numbers = Uint8Array | Int8Array | Uint16Array | Int16Array | Int32Array | Float32Array;

/** A picture of one channel, row by row. */
export interface Plane<T extends Numbers = Numbers> {
  readonly data: T;
  readonly rows: number;
  readonly cols: number;
}

export interface Window {
  readonly kind: "window";
  readonly center: number;
  readonly width: number;
  readonly function: "LINEAR" | "LINEAR_EXACT" | "SIGMOID";
}

export interface VoiTable {
  readonly kind: "table";
  readonly first: number;
  readonly values: Float32Array;
}

export type Voi = Window | VoiTable;

/** `chestWallRight` is null where the header does not say. */
export interface Orientation {
  readonly quarterTurns: number;
  readonly chestWallRight: boolean | null;
  readonly keyword: string;
}

export type Code = readonly [value: string, scheme: string, meaning: string];

/** Identity and acquisition of an image. */
export interface ImageRef {
  readonly path: string;
  readonly patientId: string | null;
  readonly studyUid: string | null;
  readonly seriesUid: string | null;
  readonly instanceUid: string | null;
  readonly side: Side | null;
  readonly view: View | null;
  readonly intent: string | null;
  readonly aspect: number;
  readonly ageYears: number | null;
  readonly acquisitionDate: string | null;
  readonly digest: string | null;
}

/** Further facts of the header that grouping and triage need. */
export interface Header {
  readonly isDicom: boolean;
  readonly classUid: string | null;
  readonly patientName: string | null;
  readonly patientSex: string | null;
  readonly birthDate: string | null;
  readonly accession: string | null;
  readonly studyDate: string | null;
  readonly contentDate: string | null;
  readonly patientAge: string | null;
  readonly issuer: string | null;
  readonly acquisitionTime: string | null;
  readonly eventUid: string | null;
  readonly sourceUids: readonly string[];
  readonly serial: string | null;
  readonly institution: string | null;
  readonly diagnoses: readonly Code[];
}

export type ObjectKind = "mammogram" | "stack" | "other_image" | "document" | "unknown";

export function mayShowBreast(kind: ObjectKind): boolean {
  return kind === "mammogram" || kind === "unknown";
}

export interface Mammogram {
  readonly ref: ImageRef;
  readonly header: Header;
  readonly pixels: Plane;
  readonly photometric: Photometric;
  readonly voi: Voi | null;
  readonly otherVoi: readonly Voi[];
  readonly padding: readonly [number, number] | null;
  readonly orientation: Orientation | null;
  readonly cautions: readonly Caution[];
}

/** A file of the exam that was refused. */
export interface Unreadable {
  readonly path: string;
  readonly error: string;
  readonly message: string;
  readonly kind: ObjectKind;
  readonly ref: ImageRef | null;
  readonly header: Header | null;
}

export type Box = readonly [row0: number, col0: number, row1: number, col1: number];

export interface Scores {
  readonly normal: number;
  readonly benign: number;
  readonly malignant: number;
}

export type Category = "high" | "intermediate" | "low" | "failed";

export interface Finding {
  readonly box: Box;
  readonly score: number;
}

export const EMPTY_HEADER: Header = {
  isDicom: false,
  classUid: null,
  patientName: null,
  patientSex: null,
  birthDate: null,
  accession: null,
  studyDate: null,
  contentDate: null,
  patientAge: null,
  issuer: null,
  acquisitionTime: null,
  eventUid: null,
  sourceUids: [],
  serial: null,
  institution: null,
  diagnoses: [],
};
