/**
 * Compares the header with the stored numbers, as `mammolens.images.pixel_trust`: a sound picture is
 * smooth. What the numbers prove wrong is corrected with a doubt; what proves nothing is refused.
 */

import { extent } from "../numbers";
import { type Caution, caution, doubt, type Plane, Refusal } from "../types";
import {
  compared,
  exchanged,
  exchangedAll,
  FEWEST_PLACES,
  isWhole,
  PROVEN,
  pick,
  readWords,
  roughness,
  swapped,
  total,
  wraps,
} from "./smoothness";

type Words = Uint8Array | Uint16Array;
type Stored8or16 = Uint8Array | Uint16Array | Int8Array | Int16Array;
export type StoredPlane = Plane<Stored8or16>;

const SMOOTHER = 2;
const PAIRS_SMOOTHER = 1.08;
const TORN = 15;
const ROWS = 24;
const ROWS_IN_DOUBT = 512;
const STRAY_SHARE = 0.01;
const FILM_EDGE = 50;
const CALMER = 0.8;

export interface Stored {
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
  readonly overlayBits: number;
}

/** Corrects swapped bytes or pixels; refuses rows that do not fit together. */
export function orderedBytes<T extends Stored8or16>(
  plane: Plane<T>,
  bitsStored: number,
  source: string,
): [Plane<T>, Caution[]] {
  const { data, rows, cols } = plane;
  const step = Math.max(2, Math.floor(Math.floor(rows / ROWS) / 2) * 2);
  const first: number[] = [];
  for (let y = 0; y < rows - 1; y += step) first.push(y);
  const here = pick(plane, first);
  const rough = roughness(here);
  if (data instanceof Uint16Array) {
    const enough = SMOOTHER * roughness(swapped(here));
    const limit = 2 ** bitsStored - 1;
    const low = { ...here, data: here.data.map((v) => v & limit) };
    if (rough > enough && roughness(low) > enough) {
      const turned = data.map((v) => ((v & 0xff) << 8) | (v >> 8));
      const note = swappedNote("the bytes of each value");
      return [{ ...plane, data: turned as Stored8or16 as T }, [note]];
    }
  }
  const { odd, even, lines } = compared(here);
  if (odd > PAIRS_SMOOTHER * even && rough > PAIRS_SMOOTHER * roughness(exchanged(here))) {
    return [exchangedAll(plane), [swappedNote("every two neighbouring values")]];
  }
  const below = first.map((y) => {
    let sum = 0;
    for (let x = 0; x < cols; x++) sum += Math.abs(data[(y + 1) * cols + x] - data[y * cols + x]);
    return sum / cols;
  });
  if (median(below) > TORN * Math.max(median(lines), 1e-9)) {
    const text = `the rows do not fit together: the picture is not ${rows} x ${cols} pixels`;
    throw new Refusal("NotAnImage", text, {
      source,
      keyword: "Rows",
      remedy: "Export the image again: Rows and Columns may be exchanged",
    });
  }
  return [plane, []];
}

/** Decides on depth and sign of the stored values. */
export function trustedValues(
  plane: Plane<Stored8or16>,
  stored: Stored,
  source: string,
): [Plane, Caution[]] {
  const width = 8 * plane.data.BYTES_PER_ELEMENT;
  if (plane.data instanceof Int8Array || plane.data instanceof Int16Array) {
    if (!stored.signed && extent(plane.data)[0] < 0) {
      return [plane, [wrongSign(false, "the stream has negative values")]];
    }
  }
  let words = unsigned(plane);
  const bits = Math.min(stored.bitsStored, width);
  let shift = Math.max(0, Math.min(stored.highBit, width - 1) + 1 - bits);
  if (bits === width) return signedRight(words, width, stored.signed);
  const notes: Caution[] = [];
  let peak = extent(words.data)[1];
  const limit = 2 ** bits - 1;
  if (shift && peak <= limit && variesBelow(words, shift)) {
    const text = `HighBit is ${stored.highBit}, but the values are in the lowest ${bits} bits`;
    notes.push(doubt("bits_stored_wrong", text));
    shift = 0;
  }
  if (shift) {
    words = { ...words, data: words.data.map((v) => v >> shift) };
    peak >>= shift;
  }
  if (peak <= limit) {
    const [values, more] = signedRight(words, bits, stored.signed);
    return [values, [...notes, ...more]];
  }
  return deeper(words, bits, stored, source);
}

function unsigned(plane: Plane<Stored8or16>): Plane<Words> {
  const { data } = plane;
  if (data instanceof Uint8Array || data instanceof Uint16Array) return { ...plane, data };
  const Kind = data instanceof Int8Array ? Uint8Array : Uint16Array;
  return { ...plane, data: new Kind(data.buffer as ArrayBuffer, data.byteOffset, data.length) };
}

function variesBelow({ data, rows, cols }: Plane<Words>, shift: number): boolean {
  const low = 2 ** shift - 1;
  for (let y = 0; y < rows; y += 16) {
    for (let x = 0; x < cols; x += 16) {
      if ((data[y * cols + x] & low) !== (data[0] & low)) return true;
    }
  }
  return false;
}

function swappedNote(what: string): Caution {
  const text = `${what} were swapped, as after a faulty conversion from Big Endian; this was corrected`;
  return doubt("bytes_swapped", text);
}

function wrongSign(signed: boolean, why: string): Caution {
  const [stated, used] = signed ? ["signed", "unsigned"] : ["unsigned", "signed"];
  const text = `PixelRepresentation says that the values are ${stated}, but ${why}; ${used} was used`;
  return doubt("sign_wrong", text);
}

/** Signed or unsigned as the header says, unless the picture proves it wrong. */
function signedRight(words: Plane<Words>, bits: number, signed: boolean): [Plane, Caution[]] {
  const count = signed ? ROWS_IN_DOUBT : ROWS;
  const step = Math.max(1, Math.floor(words.rows / count));
  const rows = readWords(pick(words, every(words.rows, step)), bits, signed);
  const [share, places] = wraps(rows, bits);
  if (share < PROVEN || places < FEWEST_PLACES) return [asStated(words, bits, signed), []];
  const why = "the picture is smooth only with the other sign";
  return [asStated(words, bits, !signed), [wrongSign(signed, why)]];
}

function every(count: number, step: number): number[] {
  return Array.from({ length: Math.ceil(count / step) }, (_, n) => n * step);
}

/** The lowest `bits` of each word in words of the same width. */
function asStated(words: Plane<Words>, bits: number, signed: boolean): Plane<Stored8or16> {
  const { data } = words;
  const limit = 2 ** bits - 1;
  const eight = data instanceof Uint8Array;
  if (!signed) {
    if (bits === 8 * data.BYTES_PER_ELEMENT || extent(data)[1] <= limit) return words;
    return { ...words, data: data.map((v) => v & limit) };
  }
  const Kind = eight ? Int8Array : Int16Array;
  const out = new Kind(data.length);
  const sign = 2 ** (bits - 1);
  for (let i = 0; i < out.length; i++) {
    const value = data[i] & limit;
    out[i] = value >= sign ? value - 2 * sign : value;
  }
  return { ...words, data: out };
}

/** Decides on values of which some have bits above the stored ones of the header. */
function deeper(
  words: Plane<Words>,
  bits: number,
  stored: Stored,
  source: string,
): [Plane, Caution[]] {
  const { data, rows: height, cols } = words;
  const width = 8 * data.BYTES_PER_ELEMENT;
  const limit = 2 ** bits - 1;
  const stated = asStated(words, bits, stored.signed);
  if (stored.signed && stated.data.every((v, i) => (v & (2 ** width - 1)) === data[i])) {
    return signedRight(words, bits, true);
  }
  const cleared = `bits above the ${bits} stored ones were cleared`;
  let union = 0;
  let beyondCount = 0;
  let anyBelow = false;
  let swappedPeak = 0;
  const where: number[] = [];
  for (let y = 0; y < height; y++) {
    const before = beyondCount;
    for (let i = y * cols; i < (y + 1) * cols; i++) {
      const v = data[i];
      union |= v;
      if (v > limit) beyondCount++;
      if (v & limit) anyBelow = true;
      const turned = ((v & 0xff) << 8) | (v >> 8);
      if (turned > swappedPeak) swappedPeak = turned;
    }
    if (beyondCount > before) where.push(y);
  }
  if ((union & ~limit & ~stored.overlayBits) === 0) {
    return [stated, [caution("unused_bits_masked", cleared)]];
  }
  if (width === 16 && !anyBelow && swappedPeak <= limit) {
    const turned = data.map((v) => ((v & 0xff) << 8) | (v >> 8));
    return [{ ...words, data: turned }, [swappedNote("the bytes of each value")]];
  }
  const edge = Math.floor(cols / FILM_EDGE);
  const step = Math.max(1, Math.floor(where.length / ROWS_IN_DOUBT));
  const chosen = where.filter((_, n) => n % step === 0);
  const rows = pick(words, chosen, edge, cols - edge);
  const asSaid = readWords(rows, bits, stored.signed);
  for (const signed of [stored.signed, !stored.signed]) {
    if (!isWhole(asSaid, readWords(rows, width, signed), rows, bits)) continue;
    const text = `BitsStored is ${bits}, but the values use all ${width} bits; all were read`;
    const why = "the picture is smooth only with the other sign and all bits";
    const note =
      signed === stored.signed ? doubt("bits_stored_wrong", text) : wrongSign(stored.signed, why);
    return [asStated(words, width, signed), [note]];
  }
  const calm = total(asSaid, rows) < CALMER * total(readWords(rows, width, false), rows);
  if (calm || beyondCount < FEWEST_PLACES) {
    const much = beyondCount > STRAY_SHARE * data.length;
    return [stated, [{ name: "unused_bits_masked", message: cleared, doubt: much || !calm }]];
  }
  const text = `values have bits above the ${bits} stored ones, and their meaning is unknown`;
  throw new Refusal("NotAnImage", text, {
    source,
    keyword: "BitsStored",
    remedy: "Export the image again with its real depth",
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
