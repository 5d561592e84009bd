/**
 * Stored values → greys of the screen, as one table of 65,536 entries.
 *
 * Order (PS3.3 C.11.1, C.11.2, C.11.6; PS3.4 N.2): modality LUT, VOI, inversion for MONOCHROME1 or
 * the presentation LUT shape INVERSE, padding to black. Everything before the table stays in 16 bit.
 * The greys are those of `mammolens.preprocess.to_grey` and `make_display`.
 */

import type { Plane } from "./decode/raw";
import type { ExamImage, ModalityLut, Voi } from "./exam";

/** What the table is made of. */
export interface GreyForm {
  readonly modality: ModalityLut;
  readonly voi: Voi;
  /** `bias` of the plane that the table is for. */
  readonly bias: number;
  readonly photometric: ExamImage["photometric"];
  readonly presentationLutShape: ExamImage["presentationLutShape"];
  /** Closed range of stored values. */
  readonly padding: readonly [number, number] | null;
  /** The reader wants the picture inverted. */
  readonly invert: boolean;
}

export const TABLE_SIZE = 65536;

/**
 * Applies a modality table to a plane, so that averages are made of modality values; a rescale is
 * linear and can wait for the grey table.
 */
export function applyModalityTable(plane: Plane, modality: ModalityLut): Plane {
  if (modality.kind === "rescale") return plane;
  const table = Uint16Array.from({ length: TABLE_SIZE }, (_, v) =>
    lookUp(modality, v - plane.bias),
  );
  return { ...plane, data: plane.data.map((v) => table[v]), bias: 0 };
}

/** The grey (0–255) of every value of a plane. */
export function greyTable(form: GreyForm): Uint8Array {
  const curve = curveOf(form.voi);
  const inverts = form.photometric === "MONOCHROME1" || form.presentationLutShape === "INVERSE";
  const settled = form.voi.kind === "tone";
  const greyAt = (v: number) => {
    const grey = curve(modalityValue(form, v));
    const shown = inverts && !settled ? 1 - grey : grey;
    return Math.round(255 * (form.invert ? 1 - shown : shown));
  };
  const table = form.voi.kind === "table" ? everyValue(greyAt) : monotone(greyAt);
  if (form.padding !== null) blackOut(table, form, form.padding);
  return table;
}

/** The same greys as opaque RGBA words (little-endian), to be written into image data. */
export function rgbaTable(greys: Uint8Array): Uint32Array {
  const words = new Uint32Array(greys.length);
  for (let v = 0; v < greys.length; v++) words[v] = 0xff000000 | (greys[v] * 0x010101);
  return words;
}

function everyValue(greyAt: (v: number) => number): Uint8Array {
  const table = new Uint8Array(TABLE_SIZE);
  for (let v = 0; v < TABLE_SIZE; v++) table[v] = greyAt(v);
  return table;
}

/**
 * The table of a curve that only rises or only falls. Runs of one grey are found by halving, so that
 * some thousands of values are computed rather than all: dragging a window makes a table per frame.
 */
function monotone(greyAt: (v: number) => number): Uint8Array {
  const table = new Uint8Array(TABLE_SIZE);
  const fill = (from: number, to: number, first: number, last: number): void => {
    if (first === last) {
      table.fill(first, from, to + 1);
    } else if (to - from === 1) {
      table[from] = first;
      table[to] = last;
    } else {
      const middle = (from + to) >> 1;
      const grey = greyAt(middle);
      fill(from, middle, first, grey);
      fill(middle, to, grey, last);
    }
  };
  fill(0, TABLE_SIZE - 1, greyAt(0), greyAt(TABLE_SIZE - 1));
  return table;
}

/** The modality value of a plane's value. A table was applied when the plane was made. */
function modalityValue(form: GreyForm, v: number): number {
  if (form.modality.kind === "table") return v;
  return (v - form.bias) * form.modality.slope + form.modality.intercept;
}

function blackOut(table: Uint8Array, form: GreyForm, padding: readonly [number, number]): void {
  if (form.modality.kind === "rescale") {
    table.fill(0, padding[0] + form.bias, padding[1] + form.bias + 1);
    return;
  }
  const ends = padding.map((stored) => lookUp(form.modality, stored));
  table.fill(0, Math.min(...ends), Math.max(...ends) + 1);
}

function lookUp(modality: ModalityLut, stored: number): number {
  if (modality.kind === "rescale") return stored * modality.slope + modality.intercept;
  const { first, values } = modality;
  return values[Math.min(Math.max(stored - first, 0), values.length - 1)];
}

/** Modality value → grey 0–1, before inversion. */
function curveOf(voi: Voi): (value: number) => number {
  switch (voi.kind) {
    case "window":
      return windowCurve(voi.center, voi.width, voi.function);
    case "table":
      return tableCurve(voi.first, voi.values);
    case "tone": {
      const span = voi.white - voi.black;
      const range = Math.abs(span) < 1e-6 ? 1e-6 : span;
      return (value) => clip((value - voi.black) / range) ** voi.power;
    }
  }
}

/** PS3.3 C.11.2.1.2 (LINEAR) and C.11.2.1.3 (SIGMOID, LINEAR_EXACT). */
function windowCurve(center: number, width: number, kind: string): (value: number) => number {
  if (kind === "SIGMOID") return (value) => 1 / (1 + Math.exp((-4 * (value - center)) / width));
  if (kind === "LINEAR_EXACT") return (value) => clip((value - center) / width + 0.5);
  const span = Math.max(width - 1, 1e-6);
  return (value) => clip((value - (center - 0.5)) / span + 0.5);
}

/** PS3.3 C.11.1.1: values below and above the table take its first and last entry. */
function tableCurve(first: number, values: readonly number[]): (value: number) => number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const range = Math.max(high - low, 1e-12);
  const last = values.length - 1;
  return (value) => (values[Math.min(Math.max(Math.round(value) - first, 0), last)] - low) / range;
}

function clip(share: number): number {
  return Math.min(Math.max(share, 0), 1);
}
