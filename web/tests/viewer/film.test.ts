import { describe, expect, test } from "vitest";
import { BLACK, drawFilm, freeFilm, makeFilm } from "../../src/viewer/render/film";
import type { DrawOrder, FrameOrder } from "../../src/viewer/render/protocol";

const order: FrameOrder = {
  form: { rows: 3, columns: 4, bitsAllocated: 16, bitsStored: 16, highBit: 15, signed: false },
  modality: { kind: "rescale", slope: 1, intercept: 0 },
  turn: { quarterTurns: 0, mirrored: false },
};

const film = (turn: FrameOrder["turn"] = order.turn) => {
  const data = Uint16Array.from({ length: 12 }, (_, i) => i * 20);
  return makeFilm({ data, width: 4, height: 3, bias: 0 }, { ...order, turn });
};

const draw = (changes: Partial<DrawOrder> = {}, placement = {}): DrawOrder => ({
  placement: { width: 6, height: 5, scaleX: 1, scaleY: 1, offsetX: 1, offsetY: 1, ...placement },
  grey: {
    modality: order.modality,
    voi: { kind: "window", center: 127.5, width: 255, function: "LINEAR_EXACT", name: null },
    photometric: "MONOCHROME2",
    presentationLutShape: null,
    padding: null,
    invert: false,
  },
  quality: "exact",
  magnifier: null,
  ...changes,
});

const shown = (made: ReturnType<typeof film>, asked: DrawOrder) => {
  const { width, height } = asked.placement;
  const out = new Uint32Array(width * height).fill(0x12345678);
  drawFilm(made, asked, out);
  return Array.from({ length: height }, (_, y) =>
    [...out.subarray(y * width, (y + 1) * width)].map((word) => word & 255),
  );
};

describe("a film", () => {
  test("is drawn at its place, black around it", () => {
    expect(shown(film(), draw())).toEqual([
      [0, 0, 0, 0, 0, 0],
      [0, 0, 20, 40, 60, 0],
      [0, 80, 100, 120, 140, 0],
      [0, 160, 180, 200, 220, 0],
      [0, 0, 0, 0, 0, 0],
    ]);
  });

  test("is black around even where the picture is inverted", () => {
    const asked = draw();
    const rows = shown(film(), { ...asked, grey: { ...asked.grey, invert: true } });
    expect(rows[0]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(rows[1][1]).toBe(255);
  });

  test("hangs mirrored", () => {
    const rows = shown(film({ quarterTurns: 0, mirrored: true }), draw());
    expect(rows[1]).toEqual([0, 60, 40, 20, 0, 0]);
  });

  test("another window draws the same pixels with another table", () => {
    const made = film();
    shown(made, draw());
    const asked = draw({ quality: "moving" });
    const voi = { kind: "window", center: 50, width: 1, function: "LINEAR", name: null } as const;
    const rows = shown(made, { ...asked, grey: { ...asked.grey, voi } });
    expect(rows[1]).toEqual([0, 0, 0, 0, 255, 0]);
  });

  test("is drawn again when it moves", () => {
    const made = film();
    shown(made, draw());
    expect(shown(made, draw({}, { offsetX: 0 }))[1]).toEqual([0, 20, 40, 60, 0, 0]);
  });

  test("the magnifier shows the point beneath its centre, larger", () => {
    const lens = { x: 6.5, y: 5.5, radius: 5, scaleX: 4, scaleY: 4 };
    const place = { width: 14, height: 12, offsetX: 4, offsetY: 4 };
    const rows = shown(film(), draw({ magnifier: lens }, place));
    // Point (2.5, 1.5) of the picture is the middle of the pixel with the value 120.
    expect(rows[5][6]).toBeGreaterThan(105);
    expect(rows[5][6]).toBeLessThan(135);
    expect(rows[5][6] - rows[5][5]).toBe(5);
    expect(rows[11].every((grey) => grey === 0)).toBe(true);
  });

  test("gives its memory back", () => {
    const made = film();
    freeFilm(made);
    expect(made.pyramid[0].plane.data.length).toBe(0);
  });
});

test("black is opaque", () => {
  expect(BLACK >>> 24).toBe(255);
});
