/** Compares a look-up table with its own descriptor, as `mammolens.images.dicom.luts`. */

import { extent } from "../numbers";
import { type Caution, doubt } from "../types";

const ROUGHNESS = 4;

export interface GreyTable {
  readonly announced: number;
  readonly first: number;
  readonly entries: Float32Array;
}

/** The entries of a table, or null if it cannot be used; `highest` is looked up in it. */
export function fitTable(
  table: GreyTable,
  highest: number,
  keyword: string,
): [Float32Array | null, Caution[]] {
  let { entries } = table;
  const faults: string[] = [];
  const count = entries.length;
  if (count !== table.announced) {
    faults.push(`announces ${table.announced} entries and has ${count}`);
  }
  if (count < 2 || (count < table.announced && table.first + count - 1 < highest)) {
    const text = `${keyword} ${faults.join("; ") || "has no entries"}: it was ignored`;
    return [null, [doubt("voi_ignored", text)]];
  }
  if (extent(entries)[1] > 255) {
    const exchanged = entries.map((v) => ((v & 0xff) << 8) | ((v >> 8) & 0xff));
    if (climb(entries) > ROUGHNESS * Math.max(climb(exchanged), 1)) {
      entries = exchanged;
      faults.push("has entries with swapped bytes, which was corrected");
    }
  }
  if (!faults.length) return [entries, []];
  return [entries, [doubt("table_wrong", `${keyword} ${faults.join("; ")}`)]];
}

/** Sum of all steps of a table divided by its range: 1 if it only rises. */
function climb(entries: Float32Array): number {
  const [low, high] = extent(entries);
  let steps = 0;
  for (let i = 1; i < entries.length; i++) steps += Math.abs(entries[i] - entries[i - 1]);
  return high > low ? steps / (high - low) : 1;
}
