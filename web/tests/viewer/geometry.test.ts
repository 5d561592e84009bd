import { describe, expect, test } from "vitest";
import type { Plane } from "../../src/viewer/decode/raw";
import type { Edge, Laterality, Point } from "../../src/viewer/exam";
import {
  commonUnit,
  fitScale,
  HOME,
  hangImage,
  paneToSource,
  pannedBy,
  place,
  sourceToPane,
  zoomedAt,
  zoomOneToOne,
  zoomTrueSize,
} from "../../src/viewer/geometry/camera";
import { hangingOf, toHung, toSource, turnedSize } from "../../src/viewer/geometry/orientation";
import { lengthOf, spacingOf } from "../../src/viewer/geometry/spacing";
import { fields } from "../../src/viewer/geometry/tiles";
import { turnPlane } from "../../src/viewer/geometry/turn_plane";
import { readGolden } from "./golden";
import { makeImage } from "./make_exam";

const TURNS = [0, 1, 2, 3].flatMap((quarterTurns) =>
  [false, true].map((mirrored) => ({ quarterTurns, mirrored }) as never),
);

function oriented(
  laterality: Laterality | null,
  patientOrientation: readonly [string, string] | null,
  chestWallEdge: Edge | null,
  viewPosition: "CC" | "MLO" = "MLO",
) {
  const orientation = { patientOrientation, chestWallEdge };
  return hangingOf({ laterality, viewPosition, orientation });
}

describe("hanging", () => {
  test.each([
    ["R", ["P", "FL"], "right", 0, false],
    ["L", ["A", "FR"], "left", 0, false],
    ["R", ["A", "FL"], "left", 0, true],
    ["L", ["P", "FR"], "right", 0, true],
    ["L", ["P", "HL"], "right", 2, false],
    ["R", ["FL", "A"], "top", 1, false],
    ["L", ["FR", "A"], "top", 1, true],
  ] as const)("%s stored as %j", (side, stated, edge, quarterTurns, mirrored) => {
    const hung = oriented(side, stated, edge);
    expect(hung.turn).toEqual({ quarterTurns, mirrored });
    expect(hung.chestWall).toBe(side === "R" ? "right" : "left");
    expect(hung.doubt).toBeNull();
  });

  test("a craniocaudal view has its inner side below", () => {
    expect(oriented("L", ["P", "L"], "right", "CC").turn).toEqual({
      quarterTurns: 2,
      mirrored: false,
    });
  });

  test("the picture is followed where the header contradicts it, with a doubt", () => {
    const hung = oriented("R", ["P", "FL"], "left");
    expect(hung.turn).toEqual({ quarterTurns: 0, mirrored: true });
    expect(hung.doubt).toBe("orientation-contradicted");
  });

  test("without header and picture nothing is turned and the reader is warned", () => {
    expect(oriented("R", null, null).doubt).toBe("orientation-unknown");
    expect(oriented("R", ["CC", ""], null).doubt).toBe("orientation-unknown");
  });

  test("an unknown side is never mirrored", () => {
    const hung = oriented(null, null, "right");
    expect(hung.turn.mirrored).toBe(false);
    expect(hung.doubt).toBe("laterality-unknown");
  });

  test.each(TURNS)("points go there and back: %j", (turn) => {
    const point: Point = [12.25, 3.5];
    const [x, y] = toSource(toHung(point, 40, 30, turn), 40, 30, turn);
    expect(x).toBeCloseTo(12.25);
    expect(y).toBeCloseTo(3.5);
  });

  test.each(TURNS)("pixels go where points go: %j", (turn) => {
    const plane: Plane = {
      data: Uint16Array.from({ length: 12 }, (_, i) => i),
      width: 4,
      height: 3,
      bias: 0,
    };
    const turned = turnPlane(plane, turn);
    expect([turned.width, turned.height]).toEqual([...turnedSize(4, 3, turn)]);
    for (let i = 0; i < 12; i++) {
      const [x, y] = toHung([(i % 4) + 0.5, Math.floor(i / 4) + 0.5], 4, 3, turn);
      expect(turned.data[Math.floor(y) * turned.width + Math.floor(x)]).toBe(i);
    }
  });
});

describe("Patient Orientation is read as mammolens reads it", () => {
  type Case = [string, string, Laterality | null, "CC" | "MLO" | null, [number, boolean] | null];
  const { cases } = readGolden<{ cases: Case[] }>("orientation.json");

  test("in all cases", () => {
    expect(cases.filter((one) => one[4] !== null).length).toBeGreaterThan(300);
    for (const [row, column, laterality, viewPosition, found] of cases) {
      const orientation = { patientOrientation: [row, column] as const, chestWallEdge: null };
      const hung = hangingOf({ laterality, viewPosition, orientation });
      const name = `${row}\\${column} ${laterality} ${viewPosition}`;
      expect(hung.doubt === "orientation-unknown", name).toBe(found === null);
      if (found === null) continue;
      expect(hung.turn.quarterTurns, name).toBe(found[0]);
      const side = found[1] ? "right" : "left";
      const inwards = laterality === "R" ? "right" : "left";
      expect(hung.turn.mirrored, name).toBe(laterality !== null && side !== inwards);
      expect(hung.chestWall, name).toBe(laterality === null ? side : inwards);
    }
  });
});

describe("spacing", () => {
  const spacing = (changes: object) => ({
    spacing: { imager: null, magnification: null, calibrated: null, documented: null, ...changes },
  });

  test("imager spacing is corrected where the magnification is known", () => {
    expect(spacingOf(spacing({ imager: [0.1, 0.1], magnification: 1.8 }))).toMatchObject({
      source: "magnification-corrected",
      rowMm: 0.1 / 1.8,
    });
    expect(spacingOf(spacing({ imager: [0.1, 0.1] }))?.source).toBe("imager");
  });

  test("an impossible value is not used", () => {
    expect(spacingOf(spacing({ imager: [0, 0.1] }))).toBeNull();
    expect(spacingOf(spacing({ imager: [0.1, 0.1], magnification: 0 }))?.source).toBe("imager");
  });

  test("a length names its source, and is in pixels without one", () => {
    const documented = { mm: [0.05, 0.05], by: "scanner" };
    expect(lengthOf([0, 0], [30, 40], spacing({ documented }) as never)).toEqual({
      unit: "mm",
      value: 2.5,
      source: "documented",
    });
    expect(lengthOf([0, 0], [30, 40], spacing({}))).toEqual({ unit: "px", value: 50 });
  });

  test("rows and columns may have different spacings", () => {
    const length = lengthOf([0, 0], [10, 10], spacing({ calibrated: [0.3, 0.4] }));
    expect(length.value).toBeCloseTo(5);
  });
});

describe("the camera", () => {
  const size = { width: 480, height: 540 };
  const right = hangImage(makeImage("R", "CC"), "mm", "picture");
  const left = hangImage(makeImage("L", "CC", { rows: 500 }), "mm", "picture");
  const fit = fitScale([
    { size, hung: right },
    { size, hung: left },
  ]);

  test("hangs chest walls inwards at one scale", () => {
    const [r, l] = [right, left].map((hung) => place(HOME, fit, size, hung));
    expect(r.offsetX + right.width * r.scaleX).toBeCloseTo(size.width, -1);
    expect(l.offsetX).toBe(0);
    expect(r.scaleX).toBe(l.scaleX);
  });

  test("shows a prior of another spacing at the same physical size", () => {
    const finer = { imager: [0.05, 0.05], magnification: null, calibrated: null, documented: null };
    const prior = hangImage(makeImage("R", "CC", { spacing: finer } as never), "mm", "picture");
    const [a, b] = [right, prior].map((hung) => place(HOME, fit, size, hung));
    expect(a.scaleX / b.scaleX).toBeCloseTo(0.07 / 0.05);
  });

  test("compares pixels as soon as one spacing is unknown", () => {
    const unknown = { imager: null, magnification: null, calibrated: null, documented: null };
    const images = [makeImage("R", "CC"), makeImage("L", "CC", { spacing: unknown })];
    expect(commonUnit(images)).toBe("px");
    expect(zoomTrueSize(1, "px", 4)).toBeNull();
  });

  test.each([right, left])("keeps the point under the pointer while zooming", (hung) => {
    const at: Point = [100, 400];
    const before = paneToSource(at, place(HOME, fit, size, hung), hung);
    const zoomed = zoomedAt(HOME, fit, size, hung, at, 3.7);
    const [x, y] = sourceToPane(before, place(zoomed, fit, size, hung), hung);
    expect(Math.abs(x - at[0])).toBeLessThan(1);
    expect(Math.abs(y - at[1])).toBeLessThan(1);
  });

  test("moves both breasts away from the chest wall together", () => {
    const moved = pannedBy({ ...HOME, zoom: 2 }, fit, right, 50, 0);
    const [r0, l0] = [right, left].map((h) => place({ ...HOME, zoom: 2 }, fit, size, h).offsetX);
    const [r1, l1] = [right, left].map((h) => place(moved, fit, size, h).offsetX);
    expect(r1 - r0).toBe(50);
    expect(l1 - l0).toBe(-50);
  });

  test("is exactly one at one to one", () => {
    const camera = { ...HOME, zoom: zoomOneToOne(fit, right) };
    expect(place(camera, fit, size, right).scaleX).toBe(1);
  });

  test("is true to size after calibration", () => {
    const camera = { ...HOME, zoom: zoomTrueSize(fit, "mm", 4) ?? 0 };
    expect(place(camera, fit, size, right).scaleX).toBeCloseTo(4 * 0.07);
  });
});

describe("fields at one to one", () => {
  const size = { width: 150, height: 120 };
  test.each(["R", "L"] as const)("cover every pixel of a %s picture", (side) => {
    const hung = hangImage(makeImage(side, "CC"), "mm", "picture");
    const seen = new Uint8Array(hung.width * hung.height);
    for (const camera of fields(2.5, size, hung)) {
      const { offsetX, offsetY, scaleX } = place(camera, 2.5, size, hung);
      expect(scaleX).toBe(1);
      for (let y = 0; y < size.height; y++) {
        for (let x = 0; x < size.width; x++) {
          const [px, py] = [x - offsetX, y - offsetY];
          if (px >= 0 && py >= 0 && px < hung.width && py < hung.height)
            seen[py * hung.width + px] = 1;
        }
      }
    }
    expect(seen.every((value) => value === 1)).toBe(true);
  });
});
