/** Modality LUT, VOI windows and tables, padding, as `mammolens.images.dicom.luts`. */

import { extent, floatText, general } from "../numbers";
import { fitTable, type GreyTable } from "../pixels/tables";
import type { Numbers, Plane, Voi, Window } from "../types";
import type { PixelFormat } from "./acceptance";
import type { Tags } from "./tags";

const LARGEST = 1e9;

export interface Modality {
  readonly slope: number;
  readonly intercept: number;
  readonly first: number;
  readonly table: Float32Array | null;
}

export function modalityOf(tags: Tags, form: PixelFormat): Modality {
  const [item] = tags.inner("ModalityLUTSequence");
  if (item) {
    const keyword = "ModalityLUTSequence";
    const table = tableOf(item, keyword, tags);
    const highest = 2 ** (form.bitsStored - Number(form.signed)) - 1;
    const first = wrapped(table.first, form.signed);
    const [values, notes] = fitTable({ ...table, first }, highest, keyword);
    if (values === null) {
      throw tags.unusable(keyword, notes[0].message.replace(`${keyword} `, ""));
    }
    tags.notes.list.push(...notes);
    return { slope: 1, intercept: 0, first, table: values };
  }
  const [slope = 1] = tags.exactNumbers("RescaleSlope");
  const [intercept = 0] = tags.exactNumbers("RescaleIntercept");
  if (slope === 0) throw tags.unusable("RescaleSlope", "is zero");
  if (65_536 * Math.abs(slope) + Math.abs(intercept) > LARGEST) {
    const text = `of ${floatText(slope)} with intercept ${floatText(intercept)} is impossible`;
    throw tags.unusable("RescaleSlope", text);
  }
  return { slope, intercept, first: 0, table: null };
}

/** The identity gives the plane itself. */
export function applyModality(modality: Modality, stored: Plane): Plane {
  const { slope, intercept, first, table } = modality;
  const { data } = stored;
  if (table === null && slope === 1 && intercept === 0) return stored;
  if (table !== null) {
    const out = new Float32Array(data.length);
    const last = table.length - 1;
    for (let i = 0; i < out.length; i++) {
      out[i] = table[Math.min(Math.max(data[i] - first, 0), last)];
    }
    return { ...stored, data: out };
  }
  if (Number.isInteger(slope) && Number.isInteger(intercept)) {
    const out = new Int32Array(data.length);
    for (let i = 0; i < out.length; i++) out[i] = data[i] * slope + intercept;
    return { ...stored, data: out };
  }
  const out = new Float32Array(data.length);
  const [a, b] = [Math.fround(slope), Math.fround(intercept)];
  for (let i = 0; i < out.length; i++) out[i] = Math.fround(data[i] * a) + b;
  return { ...stored, data: out };
}

/** The usable tables, then the usable windows, each in the order of the header. */
export function voiChoices(
  tags: Tags,
  form: PixelFormat,
  modality: Modality,
  pixels: Numbers,
): Voi[] {
  const found: Voi[] = [];
  const faults: string[] = [];
  const signed = form.signed || modality.intercept < 0;
  for (const item of tags.inner("VOILUTSequence")) {
    let table: GreyTable;
    try {
      table = tableOf(item, "VOILUTSequence", tags);
    } catch {
      faults.push("VOILUTSequence cannot be read");
      continue;
    }
    const first = wrapped(table.first, signed);
    const short = table.entries.length < table.announced;
    const highest = short ? extent(pixels)[1] : Number.POSITIVE_INFINITY;
    const [values, notes] = fitTable({ ...table, first }, highest, "VOILUTSequence");
    tags.notes.list.push(...notes);
    if (values !== null) found.push({ kind: "table", first, values });
  }
  const [windows, more] = windowsOf(tags);
  if (windows.length > 1 && !found.length) {
    const text = `the header has ${windows.length} windows; the first that shows the breast is used`;
    tags.caution("several_windows", text);
  }
  found.push(...windows);
  for (const fault of [...faults, ...more]) {
    const text = `${fault} and was ignored`;
    if (found.length) tags.caution("voi_ignored", text);
    else tags.doubt("voi_ignored", text);
  }
  return found;
}

function windowsOf(tags: Tags): [windows: Window[], faults: string[]] {
  const keywords = ["WindowCenter", "WindowWidth"];
  const [centers, widths] = keywords.map((keyword) => tags.numbers(keyword));
  let faults = keywords.filter((w) => tags.holds(w)).map((word) => `${word} cannot be read`);
  if (centers.length && widths.length) faults = [];
  const name = functionOf(tags);
  const windows: Window[] = [];
  for (let n = 0; n < Math.min(centers.length, widths.length); n++) {
    const width = widths[n];
    if (name === "LINEAR" ? width < 1 : width <= 0) {
      faults.push(`a WindowWidth of ${general(width)} is impossible`);
    } else windows.push({ kind: "window", center: centers[n], width, function: name });
  }
  return [windows, faults];
}

function functionOf(tags: Tags): Window["function"] {
  const name = tags.code("VOILUTFunction") ?? "LINEAR";
  if (name === "LINEAR" || name === "LINEAR_EXACT" || name === "SIGMOID") return name;
  const text = "VOILUTFunction is not one of the standard's; LINEAR was used";
  tags.caution("voi_function_unknown", text);
  return "LINEAR";
}

/** Padding Value and Range Limit as a closed range of modality values. */
export function paddingRange(
  tags: Tags,
  modality: Modality,
  form: PixelFormat,
): readonly [number, number] | null {
  const [value] = tags.numbers("PixelPaddingValue");
  const [limit] = tags.numbers("PixelPaddingRangeLimit");
  if (value === undefined) return null;
  const size = 2 ** form.bitsAllocated;
  const given = [value, limit ?? value].map(Math.trunc).map((v) => {
    if (form.signed) return v >= size / 2 ? v - size : v;
    return ((v % size) + size) % size;
  });
  const ends = applyModality(modality, { data: Int32Array.from(given), rows: 1, cols: 2 }).data;
  return [Math.min(ends[0], ends[1]), Math.max(ends[0], ends[1])];
}

function wrapped(first: number, signed: boolean): number {
  return signed && first >= 1 << 15 ? first - (1 << 16) : first;
}

/** A table as it is written; `fitTable` checks it. */
function tableOf(item: Tags, keyword: string, outer: Tags): GreyTable {
  const descriptor = item.exactNumbers("LUTDescriptor");
  if (descriptor.length !== 3) {
    throw outer.unusable(keyword, "has no LUTDescriptor of three values");
  }
  const [announced, first, bits] = descriptor.map(Math.trunc);
  // A count of 0 means 2^16, which has 17 bits; an SS descriptor wraps above 2^15.
  const count = ((announced % 65536) + 65536) % 65536 || 65536;
  const words = item.tableWords("LUTData");
  if (words !== null) return { announced: count, first, entries: Float32Array.from(words) };
  const data = item.element("LUTData")?.value ?? new Uint8Array(0);
  // 8-bit entries fill one byte each, or the low byte of one word.
  const wide = bits > 8 || data.length >= 2 * count;
  if (!wide) {
    const entries = Float32Array.from(data.subarray(0, Math.max(count, data.length - 1)));
    return { announced: count, first, entries };
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const entries = Float32Array.from({ length: data.length >> 1 }, (_, n) =>
    view.getUint16(2 * n, true),
  );
  return { announced: count, first, entries };
}
