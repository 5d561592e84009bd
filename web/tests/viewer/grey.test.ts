import { describe, expect, test } from "vitest";
import type { ModalityLut, Voi } from "../../src/viewer/exam";
import { applyModalityTable, type GreyForm, greyTable, rgbaTable } from "../../src/viewer/grey";
import { adjusted, windowOf, withWindow } from "../../src/viewer/window";

const window = (center: number, width: number, kind = "LINEAR"): Voi => ({
  kind: "window",
  center,
  width,
  function: kind as never,
  name: "header",
});

const greys = (changes: Partial<GreyForm> = {}) =>
  greyTable({
    modality: { kind: "rescale", slope: 1, intercept: 0 },
    voi: window(2048, 4096),
    bias: 0,
    photometric: "MONOCHROME2",
    presentationLutShape: null,
    padding: null,
    invert: false,
    ...changes,
  });

describe("windows of PS3.3 C.11.2.1.2", () => {
  test("LINEAR reaches black and white where the standard says", () => {
    const table = greys({ voi: window(100, 11) });
    expect([table[94], table[95], table[105], table[106]]).toEqual([0, 13, 255, 255]);
    expect(table[100]).toBe(Math.round(255 * (0.5 / 10 + 0.5)));
  });

  test("LINEAR_EXACT is symmetric about the centre", () => {
    const table = greys({ voi: window(100, 10, "LINEAR_EXACT") });
    expect([table[95], table[100], table[105]]).toEqual([0, 128, 255]);
  });

  test("SIGMOID is half at the centre and never quite ends", () => {
    const table = greys({ voi: window(1000, 400, "SIGMOID") });
    expect([table[1000], table[800], table[1200]]).toEqual([128, 30, 225]);
  });

  test("a window of width 1 is a threshold", () => {
    const table = greys({ voi: window(100, 1) });
    expect([table[99], table[100]]).toEqual([0, 255]);
  });
});

describe("the table", () => {
  test.each([
    window(30000, 9000),
    window(30000, 9000, "SIGMOID"),
    { kind: "tone", black: 500, white: 61000, power: 2.2, name: null } as const,
    { kind: "tone", black: 61000, white: 500, power: 0.7, name: null } as const,
  ])("found by halving equals the one computed value by value: %j", (voi) => {
    const table = greys({ voi });
    for (let v = 0; v < 65536; v += 331) {
      // A table whose entry is asked for alone: the rescale moves it to the first place.
      const alone = greys({ voi, modality: { kind: "rescale", slope: 1, intercept: v } });
      expect(alone[0]).toBe(table[v]);
    }
  });

  test("of a falling slope falls", () => {
    const table = greys({ modality: { kind: "rescale", slope: -1, intercept: 4095 } });
    expect([table[0], table[4095]]).toEqual([255, 0]);
  });

  test("of a VOI table is clipped at both ends and may fall between", () => {
    const voi: Voi = { kind: "table", first: 10, values: [0, 100, 50], name: null };
    const table = greys({ voi });
    expect([table[0], table[10], table[11], table[12], table[999]]).toEqual([0, 0, 255, 128, 128]);
  });

  test("becomes opaque grey words", () => {
    expect(rgbaTable(Uint8Array.of(0, 255, 18))).toEqual(
      Uint32Array.of(0xff000000, 0xffffffff, 0xff121212),
    );
  });
});

describe("inversion", () => {
  test.each([
    ["MONOCHROME1", null],
    ["MONOCHROME1", "INVERSE"],
    ["MONOCHROME2", "INVERSE"],
  ] as const)("%s with LUT shape %s inverts once", (photometric, presentationLutShape) => {
    const table = greys({ photometric, presentationLutShape });
    expect([table[0], table[4095]]).toEqual([255, 0]);
  });

  test("a tone curve is settled: it is not inverted again", () => {
    const voi: Voi = { kind: "tone", black: 4095, white: 0, power: 1, name: null };
    expect(greys({ voi, photometric: "MONOCHROME1" })[0]).toBe(255);
  });

  test("by the reader leaves padding black", () => {
    const table = greys({ invert: true, padding: [0, 5] });
    expect([table[5], table[6]]).toEqual([0, 255]);
  });

  test("padding of signed values is found", () => {
    const table = greys({ bias: 32768, padding: [-2000, -2000], voi: window(-1000, 4000) });
    expect([table[32768 - 2000], table[32768 - 1999]]).toEqual([0, 64]);
  });
});

describe("a modality table", () => {
  const modality: ModalityLut = { kind: "table", first: 2, values: [10, 20, 4000] };

  test("is applied to the pixels, so that averages are averages of its output", () => {
    const plane = { data: Uint16Array.of(0, 2, 3, 4, 9), width: 5, height: 1, bias: 0 };
    expect([...applyModalityTable(plane, modality).data]).toEqual([10, 10, 20, 4000, 4000]);
    expect([...plane.data]).toEqual([0, 2, 3, 4, 9]);
  });

  test("is not applied again by the grey table", () => {
    expect(greys({ modality, voi: window(2000, 4000, "LINEAR_EXACT") })[4000]).toBe(255);
  });
});

describe("dragging a window", () => {
  test("keeps the function and forgets the name", () => {
    const next = adjusted(window(1000, 500, "SIGMOID"), Math.log(2), 0.1);
    expect(next).toMatchObject({ center: 1050, width: 1000, function: "SIGMOID", name: null });
  });

  test("keeps the direction and the curve of a tone", () => {
    const tone: Voi = { kind: "tone", black: 4000, white: 1000, power: 2, name: null };
    const next = withWindow(tone, 2500, 1000);
    expect(next).toMatchObject({ black: 3000, white: 2000, power: 2 });
    expect(windowOf(next)).toEqual({ center: 2500, width: 1000 });
  });

  test("never reaches a width below one", () => {
    expect(windowOf(adjusted(window(100, 2), -50, 0)).width).toBe(1);
  });

  test("turns a table into a window of the same reach", () => {
    const table: Voi = { kind: "table", first: 0, values: new Array(4096).fill(0), name: null };
    expect(adjusted(table, 0, 0)).toMatchObject({ kind: "window", width: 4096 });
  });
});
