/** What is known of an exam beside the AI: the quality of its pictures, and clinical data. */

export interface QualityMark {
  readonly kind: "box" | "line" | "point";
  /** (row, column) in pixels of the stored image; a box has two corners. */
  readonly points: readonly (readonly [row: number, column: number])[];
}

export interface Criterion {
  readonly name: string;
  readonly standing: "good" | "poor" | "not_assessable";
  readonly reason: string;
  readonly value: number | null;
  readonly limit: number | null;
  readonly unit: string;
  /** Whether it withholds `low`. */
  readonly doubt: boolean;
  readonly marks: readonly QualityMark[];
}

export interface ImageQuality {
  readonly sop_instance_uid: string;
  readonly laterality: "L" | "R" | null;
  readonly view_position: string | null;
  readonly rows: number | null;
  readonly columns: number | null;
  /** Null: the picture has no verdict. */
  readonly criteria: readonly Criterion[] | null;
}

/** The quality of an exam's pictures; no part of it comes from the AI. */
export interface ExamQuality {
  /** Whether no picture waits for its verdict. */
  readonly ready: boolean;
  readonly exam: readonly Criterion[];
  readonly images: readonly ImageQuality[];
}

export interface ClinicalItem {
  readonly name: string;
  readonly value: string | number | boolean;
  readonly shown: string;
  readonly laterality: "L" | "R" | null;
  readonly source: string;
  readonly date: string | null;
  readonly is_used: boolean;
}

/** An item that can be stated; without choices it is a number. */
export interface ClinicalField {
  readonly name: string;
  readonly choices: readonly string[];
  readonly stated: string | null;
}

/** How clinical data changed the score; null where the AI is hidden. */
export interface Fusion {
  readonly images_malignancy: number | null;
  readonly contributions: readonly {
    readonly name: string;
    readonly laterality: "L" | "R" | null;
    readonly log_odds: number;
  }[];
  readonly missing: readonly string[];
}

type DensityCategory = "a" | "b" | "c" | "d";

/** BI-RADS density by the AI; a null category means that it is not sure. */
export interface AiDensity {
  readonly category: DensityCategory | null;
  readonly source: string;
  readonly breasts: readonly {
    readonly laterality: "L" | "R";
    readonly category: DensityCategory | null;
  }[];
}

export interface Clinical {
  readonly items: readonly ClinicalItem[];
  readonly unknown: readonly string[];
  readonly fields: readonly ClinicalField[];
  readonly cautions: readonly string[];
  readonly fusion: Fusion | null;
  readonly density: AiDensity | null;
}
