/** Faithful reduction: no small bright speck disappears, whatever the scale. */

import { beforeAll, describe, expect, test } from "vitest";
import type { Plane } from "../../src/viewer/decode/raw";
import { greyTable } from "../../src/viewer/grey";
import { buildPyramid, type Pyramid } from "../../src/viewer/pyramid";
import { type Quality, resample } from "../../src/viewer/resample";

const ROWS = 4688;
const COLUMNS = 2592;
const TISSUE = 10000;
const VISIBLE_GREYS = 10;

/** A whole film of even tissue with 400 specks of 3 × 3 pixels, at places that a seed gives. */
function film(): { plane: Plane; specks: [number, number][] } {
  const data = new Uint16Array(ROWS * COLUMNS).fill(TISSUE);
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const specks = Array.from({ length: 400 }, (): [number, number] => [
    200 + Math.floor(random() * (COLUMNS - 400)),
    200 + Math.floor(random() * (ROWS - 400)),
  ]);
  for (const [x, y] of specks) {
    for (let i = 0; i < 9; i++) data[(y + Math.floor(i / 3)) * COLUMNS + x + (i % 3)] = 65535;
  }
  return { plane: { data, width: COLUMNS, height: ROWS, bias: 0 }, specks };
}

describe("400 specks of 3 × 3 pixels", () => {
  let specks: [number, number][];
  let pyramid: Pyramid;
  beforeAll(() => {
    const made = film();
    specks = made.specks;
    pyramid = buildPyramid(made.plane);
  });

  function contrasts(scale: number, quality: Quality): number[] {
    const width = Math.ceil(COLUMNS * scale);
    const height = Math.ceil(ROWS * scale);
    const out = new Uint16Array(width * height);
    const placement = { width, height, scaleX: scale, scaleY: scale, offsetX: 0, offsetY: 0 };
    resample(pyramid, placement, quality, out);
    const greys = greyTable({
      modality: { kind: "rescale", slope: 1, intercept: 0 },
      voi: { kind: "window", center: 32768, width: 65536, function: "LINEAR", name: null },
      bias: 0,
      photometric: "MONOCHROME2",
      presentationLutShape: null,
      padding: null,
      invert: false,
    });
    return specks.map(([x, y]) => {
      let brightest = 0;
      const [cx, cy] = [Math.floor((x + 1.5) * scale), Math.floor((y + 1.5) * scale)];
      for (let i = 0; i < 25; i++) {
        const at = (cy - 2 + Math.floor(i / 5)) * width + cx - 2 + (i % 5);
        brightest = Math.max(brightest, greys[out[at]]);
      }
      return brightest - greys[TISSUE];
    });
  }

  test.each([
    [1080 / ROWS, "exact"],
    [1080 / ROWS, "moving"],
    [0.37, "exact"],
    [0.37, "moving"],
    [0.8, "exact"],
    [1, "exact"],
    [2.7, "exact"],
  ] as const)("are all visible at a scale of %d (%s)", (scale, quality) => {
    const found = contrasts(scale, quality);
    expect(found).toHaveLength(400);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(VISIBLE_GREYS);
  });

  test("keep their whole light at any scale: the average of the film does not change", () => {
    const mean = (data: Uint16Array) => data.reduce((sum, v) => sum + v, 0) / data.length;
    const whole = mean(pyramid[0].plane.data);
    for (const { plane } of pyramid) expect(mean(plane.data)).toBeCloseTo(whole, -0.5);
  });
});

describe("a pyramid of odd sizes", () => {
  test("loses no row or column and weighs them by what they cover", () => {
    const data = new Uint16Array(1031 * 771);
    data[1030] = 60000; // the last column
    data[770 * 1031] = 60000; // the last row
    const levels = buildPyramid({ data, width: 1031, height: 771, bias: 0 });
    for (const { plane, cell } of levels) {
      expect(plane.width).toBe(Math.ceil(1031 / cell));
      expect(plane.data[plane.width - 1]).toBeGreaterThan(0);
      expect(plane.data[(plane.height - 1) * plane.width]).toBeGreaterThan(0);
    }
  });

  test("a flat picture stays flat", () => {
    const data = new Uint16Array(999 * 601).fill(4095);
    const levels = buildPyramid({ data, width: 999, height: 601, bias: 0 });
    for (const { plane } of levels) expect(plane.data.every((v) => v === 4095)).toBe(true);
  });
});
