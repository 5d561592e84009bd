/** Compares the header with the picture: grey scale, padding and orientation. */

import { extent } from "../numbers";
import {
  type Caution,
  caution,
  doubt,
  type Mammogram,
  type Numbers,
  Refusal,
  type Voi,
} from "../types";
import { type BreastRegion, findBreast, looksInverted, type Thumbnail } from "./breast";
import { applyVoi, opposite, toGrey } from "./grey";
import { decideTurn, turned } from "./orientation";

const THUMBNAIL_PX = 512;
const FLAT = 0.02;
const WHITE_SHARE = 0.05;
const BLACK_SHARE = 0.2;
const PLATEAU_SHARE = 0.25;
const USELESS_SHARE = 0.5;
const FEWEST_GREYS = 24;
const PADDED_TISSUE = 0.005;
const NOT_DARK = Math.fround(0.1);
const WIDENED = 0.5;
const TISSUE_VALUES = 16;
const SAMPLE = 4096;
const WHITE = Math.fround(0.996);
const BLACK = Math.fround(0.004);
const DIM = Math.fround(0.02);
const GONE_SHARE = 0.1;

/** A mammogram, upright, whose grey scale and padding are decided. */
export interface TrustedPicture {
  readonly mammogram: Mammogram;
  readonly thumbnail: Thumbnail;
  readonly stride: number;
  readonly region: BreastRegion | null;
  readonly quarterTurns: number;
  readonly cautions: readonly Caution[];
}

interface Raw {
  readonly data: Numbers;
  readonly h: number;
  readonly w: number;
}

interface Preview {
  readonly mammogram: Mammogram;
  readonly thumbnail: Thumbnail;
  readonly region: BreastRegion | null;
  readonly inverted: boolean;
  readonly white: number;
  readonly black: number;
  readonly plateau: number;
  readonly greys: number;
}

export function trustedPicture(given: Mammogram, version = 1): TrustedPicture {
  refuseFlat(given);
  const { rows, cols } = given.pixels;
  const stride = Math.max(1, Math.ceil(Math.max(rows, cols) / THUMBNAIL_PX));
  const raw = thinned(given, stride);
  const [padded, notes] = trustedPadding(given, raw);
  const [preview, more] = bestPreview(padded, raw);
  const cautions = [...notes, ...more, ...pictureDoubts(preview)];
  let { mammogram, thumbnail, region } = preview;
  if (version !== 1 && region !== null) region = findBreast(thumbnail, version);
  let quarterTurns = 0;
  if (region !== null) {
    const [quarters, turns] = decideTurn(mammogram.orientation, region, thumbnail.w);
    quarterTurns = quarters;
    cautions.push(...turns);
  }
  if (quarterTurns) {
    mammogram = turned(mammogram, quarterTurns);
    const again = thinned(mammogram, stride);
    thumbnail = { grey: toGrey(again.data, mammogram), h: again.h, w: again.w };
    region = findBreast(thumbnail, version);
  }
  return { mammogram, thumbnail, stride, region, quarterTurns, cautions };
}

function thinned({ pixels }: Mammogram, stride: number): Raw {
  const h = Math.ceil(pixels.rows / stride);
  const w = Math.ceil(pixels.cols / stride);
  const data = new (pixels.data.constructor as new (n: number) => Numbers)(h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++)
      data[y * w + x] = pixels.data[y * stride * pixels.cols + x * stride];
  }
  return { data, h, w };
}

function refuseFlat(mammogram: Mammogram): void {
  const sample = sampleOf(mammogram);
  const [low, high] = extent(sample);
  if (sample.every((v) => Number.isFinite(v)) && high > low) return;
  throw new Refusal("NotAMammogram", "the picture is flat: every pixel has the same value", {
    source: mammogram.ref.path,
    keyword: "PixelData",
    remedy: "Send the image again from the modality",
  });
}

function sampleOf(mammogram: Mammogram): Numbers {
  const { rows, cols, data } = mammogram.pixels;
  return Math.min(rows, cols) > 64 ? thinned(mammogram, 16).data : data;
}

/** The header's grey scales in its order, then null: the range of the values. */
function choicesOf(mammogram: Mammogram): (Voi | null)[] {
  const first = mammogram.voi === null ? [] : [mammogram.voi];
  return [...first, ...mammogram.otherVoi, null];
}

function voiNote(taken: number, choices: readonly (Voi | null)[]): Caution[] {
  if (taken === 0) return [];
  if (choices[taken] !== null) {
    const text =
      "the first grey scale of the header does not show the breast well; " +
      `number ${taken + 1} was used`;
    return [caution("window_ignored", text)];
  }
  const text =
    "no grey scale of the header shows the breast; " +
    "the smallest value was made black and the largest white";
  return [doubt("window_ignored", text)];
}

/** The first grey scale of the header that shows the breast well, else one that is not useless. */
function bestPreview(mammogram: Mammogram, raw: Raw): [Preview, Caution[]] {
  const choices = choicesOf(mammogram);
  const sample = sampleOf(mammogram);
  const withVoi = (voi: Voi | null) => previewOf({ ...mammogram, voi, otherVoi: [] }, raw);
  let best: [number, Preview] | null = null;
  for (const [number, voi] of choices.slice(0, -1).entries()) {
    if (voi === null || isFlat(sample, voi)) continue;
    const preview = withVoi(voi);
    if (!isSaturated(preview)) {
      best = [number, preview];
      break;
    }
    if (best === null && preview.white + preview.black <= USELESS_SHARE) best = [number, preview];
  }
  const [number, preview] = best ?? [choices.length - 1, withVoi(null)];
  const notes = voiNote(number, choices);
  if (preview.inverted) {
    const text =
      "the picture is dark on bright, which contradicts PhotometricInterpretation; it was inverted";
    notes.push(caution("inverted_picture", text));
  }
  return [preview, notes];
}

function isFlat(sample: Numbers, voi: Voi): boolean {
  const values = applyVoi(sample, voi);
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / values.length) <= FLAT;
}

function isSaturated({ plateau, white, black }: Preview): boolean {
  return plateau > PLATEAU_SHARE || white > WHITE_SHARE || black > BLACK_SHARE;
}

function previewOf(given: Mammogram, raw: Raw): Preview {
  let mammogram = given;
  let grey = toGrey(raw.data, mammogram);
  const inverted = looksInverted(grey);
  if (inverted) {
    mammogram = { ...mammogram, photometric: opposite(mammogram.photometric) };
    grey = toGrey(raw.data, mammogram);
  }
  const thumbnail = { grey, h: raw.h, w: raw.w };
  const region = findBreast(thumbnail);
  const found = { mammogram, thumbnail, region, inverted };
  if (region === null) return { ...found, white: 0, black: 0, plateau: 0, greys: SAMPLE };
  const mask = wholeBreast(mammogram, thumbnail, raw, region);
  const values: number[] = [];
  for (let y = 0; y < raw.h; y += 2) {
    for (let x = 0; x < raw.w; x += 2) {
      if (mask[y * raw.w + x]) values.push(grey[y * raw.w + x]);
    }
  }
  const counts = new Map<number, number>();
  const step = Math.max(1, Math.floor(values.length / SAMPLE));
  let counted = 0;
  for (let i = 0; i < values.length; i += step, counted++) {
    counts.set(values[i], (counts.get(values[i]) ?? 0) + 1);
  }
  const share = (test: (v: number) => boolean) => values.filter(test).length / values.length;
  return {
    ...found,
    white: share((v) => v >= WHITE),
    black: share((v) => v <= BLACK),
    plateau: Math.max(0, ...counts.values()) / Math.max(counted, 1),
    greys: counts.size,
  };
}

/** The breast; if the grey scale made much of it black, the breast without the grey scale. */
function wholeBreast(
  mammogram: Mammogram,
  { grey, h, w }: Thumbnail,
  raw: Raw,
  region: BreastRegion,
): Uint8Array {
  if (mammogram.voi === null) return region.mask;
  const plain = plainOf(mammogram, raw);
  let [gone, size] = [0, 0];
  for (let i = 0; i < plain.length; i++) {
    if (grey[i] <= BLACK && plain[i] > DIM) gone++;
    size += region.mask[i];
  }
  if (gone <= GONE_SHARE * size) return region.mask;
  return findBreast({ grey: plain, h, w })?.mask ?? region.mask;
}

/** The picture without the header's grey scale, breast bright. */
function plainOf(mammogram: Mammogram, raw: Raw): Float32Array {
  const plain = toGrey(raw.data, { ...mammogram, voi: null });
  return looksInverted(plain) ? plain.map((value) => 1 - value) : plain;
}

function pictureDoubts(preview: Preview): Caution[] {
  const { white, black, plateau, greys } = preview;
  if (isSaturated(preview)) {
    const shares = [
      [white, "white"],
      [black, "black"],
      [plateau, "of one grey"],
    ] as const;
    const most = shares
      .filter(([share]) => share >= 0.01)
      .map(([share, what]) => `${(100 * share).toFixed(0)}% is ${what}`);
    return [doubt("saturated", `parts of the breast show no detail: ${most.join(", ")}`)];
  }
  if (greys < FEWEST_GREYS) {
    const text = `the breast shows only ${greys} greys; a mammogram has ${FEWEST_GREYS} or more`;
    return [doubt("few_greys", text)];
  }
  return [];
}

/** Drops padding that lies on tissue; leaves other padding out of the range of the values. */
function trustedPadding(mammogram: Mammogram, raw: Raw): [Mammogram, Caution[]] {
  if (mammogram.padding === null) return [mammogram, []];
  const [low, high] = mammogram.padding;
  const padded = Uint8Array.from(raw.data, (v) => Number(v >= low && v <= high));
  if (!padded.includes(1)) return [mammogram, []];
  const plain = plainOf({ ...mammogram, padding: null }, raw);
  const bright = padded.map((v, i) => Number(v !== 0 && plain[i] > NOT_DARK));
  const share = bright.reduce((sum, v) => sum + v, 0) / bright.length;
  if (share > PADDED_TISSUE && isTissue(bright, padded, plain, raw)) {
    const text = "the padding values of the header occur on the breast; padding was not applied";
    return [{ ...mammogram, padding: null }, [doubt("padding_ignored", text)]];
  }
  const rest = Array.from(raw.data).filter((_, i) => !padded[i]);
  if (mammogram.voi !== null || !rest.length) return [mammogram, []];
  const [darkest, brightest] = extent(rest);
  const width = brightest - darkest;
  const [least, most] = extent(raw.data);
  if (!(width > 0 && width < WIDENED * (most - least))) return [mammogram, []];
  const center = (darkest + brightest) / 2;
  const voi = { kind: "window", center, width, function: "LINEAR_EXACT" } as const;
  return [{ ...mammogram, voi }, []];
}

/** Whether bright padded pixels have many values, or lie within the breast. */
function isTissue(bright: Uint8Array, padded: Uint8Array, plain: Float32Array, raw: Raw): boolean {
  const values = Array.from(raw.data).filter((_, i) => bright[i]);
  const step = Math.max(1, Math.floor(values.length / SAMPLE));
  if (new Set(values.filter((_, i) => i % step === 0)).size > TISSUE_VALUES) return true;
  const grey = plain.map((value, i) => (padded[i] ? 0 : value));
  const region = findBreast({ grey, h: raw.h, w: raw.w });
  if (region === null) return false;
  let [lit, size] = [0, 0];
  for (let i = 0; i < bright.length; i++) {
    if (!region.mask[i]) continue;
    size++;
    lit += bright[i];
  }
  return lit / size > PADDED_TISSUE;
}
