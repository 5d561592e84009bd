/** The viewer's greys against those of `mammolens.preprocess`, at several scales and windows. */

import { describe, expect, test } from "vitest";
import type { Plane } from "../../src/viewer/decode/raw";
import type { ExamImage, Voi } from "../../src/viewer/exam";
import { type GreyForm, greyTable } from "../../src/viewer/grey";
import { buildPyramid } from "../../src/viewer/pyramid";
import { type Quality, resample } from "../../src/viewer/resample";
import { largestDifference, type Packed, readGolden, unpack } from "./golden";

interface GreyCase {
  readonly name: string;
  readonly picture: string;
  readonly voi: Voi;
  readonly photometric: ExamImage["photometric"];
  readonly padding: readonly [number, number] | null;
  readonly slope: number;
  readonly intercept: number;
  readonly greys: Packed;
}

interface DisplayCase {
  readonly name: string;
  readonly pixels: Packed;
  readonly photometric: ExamImage["photometric"];
  readonly tone: { readonly black: number; readonly white: number; readonly power: number };
  readonly greys: Packed;
}

const PLAIN: Omit<GreyForm, "voi"> = {
  modality: { kind: "rescale", slope: 1, intercept: 0 },
  bias: 0,
  photometric: "MONOCHROME2",
  presentationLutShape: null,
  padding: null,
  invert: false,
};

function planeOf(packed: Packed): Plane {
  const data = unpack(packed) as Uint16Array<ArrayBuffer>;
  return { data, width: packed.columns, height: packed.rows, bias: 0 };
}

function shown(plane: Plane, form: GreyForm, size: Packed, quality: Quality): Uint8Array {
  const out = new Uint16Array(size.rows * size.columns);
  const placement = {
    width: size.columns,
    height: size.rows,
    scaleX: size.columns / plane.width,
    scaleY: size.rows / plane.height,
    offsetX: 0,
    offsetY: 0,
  };
  const region = resample(buildPyramid(plane), placement, quality, out);
  expect(region).toEqual({ x0: 0, y0: 0, x1: size.columns, y1: size.rows });
  const table = greyTable(form);
  return Uint8Array.from(out, (v) => table[v]);
}

describe("greys at several scales and windows", () => {
  const golden = readGolden<{ pictures: Record<string, Packed>; cases: GreyCase[] }>("greys.json");

  test.each(golden.cases)("$name is within one grey of Python's", (one) => {
    const form = {
      ...PLAIN,
      voi: one.voi,
      photometric: one.photometric,
      padding: one.padding,
      modality: { kind: "rescale", slope: one.slope, intercept: one.intercept },
    } as const;
    const greys = shown(planeOf(golden.pictures[one.picture]), form, one.greys, "exact");
    expect(largestDifference(greys, unpack(one.greys))).toBeLessThanOrEqual(1);
  });

  test("a test that shrinks by taking every n-th pixel would fail", () => {
    const one = golden.cases.find((c) => c.name === "linear at 0.37") as GreyCase;
    const plane = planeOf(golden.pictures[one.picture]);
    const table = greyTable({ ...PLAIN, voi: one.voi });
    const { rows, columns } = one.greys;
    const sampled = Uint8Array.from({ length: rows * columns }, (_, i) => {
      const y = Math.floor(((Math.floor(i / columns) + 0.5) * plane.height) / rows);
      const x = Math.floor((((i % columns) + 0.5) * plane.width) / columns);
      return table[plane.data[y * plane.width + x]];
    });
    expect(largestDifference(sampled, unpack(one.greys))).toBeGreaterThan(30);
  });
});

describe("the tone curve of a picture without a window", () => {
  const golden = readGolden<{ cases: DisplayCase[] }>("display.json");

  test.each(golden.cases)("$name is within one grey of make_display", (one) => {
    const voi: Voi = { kind: "tone", ...one.tone, name: null };
    const form = { ...PLAIN, voi, photometric: one.photometric };
    const greys = shown(planeOf(one.pixels), form, one.greys, "exact");
    expect(largestDifference(greys, unpack(one.greys))).toBeLessThanOrEqual(1);
  });
});
