/** Reads the golden files that `dev/golden.py` writes. */

import { readFileSync } from "node:fs";

export interface Packed {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: "uint8" | "uint16" | "float32";
  readonly base64: string;
}

const KINDS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array } as const;

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf-8")) as T;
}

export function unpack(packed: Packed): Uint8Array | Uint16Array | Float32Array {
  const bytes = Uint8Array.from(Buffer.from(packed.base64, "base64"));
  return new KINDS[packed.dtype](bytes.buffer);
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values beside ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}
