import { expect, test } from "vitest";
import { prepare } from "../../src/analysis/picture/prepare";
import { qualityDoubts } from "../../src/analysis/quality/doubts";
import type { Mammogram } from "../../src/analysis/types";

const CONFIG = {
  version: 1,
  height: 640,
  width: 352,
  low_percentile: 1,
  high_percentile: 99.5,
} as const;
const [ROWS, COLS] = [800, 440];

/** Half an ellipse at the left, with as much texture as is asked for. */
function breast(texture: number): Mammogram {
  const data = new Uint16Array(ROWS * COLS);
  for (let y = 0; y < ROWS; y++) {
    for (let x = 0; x < COLS; x++) {
      const away = ((y - 400) / 330) ** 2 + (x / 330) ** 2;
      if (away > 1) continue;
      data[y * COLS + x] =
        1500 + 2000 * (1 - away) + texture * Math.sin(12.9898 * x + 78.233 * y * y);
    }
  }
  const ref = { path: "a.dcm", side: "L", view: "CC", aspect: 1 };
  return {
    ref,
    header: {},
    pixels: { data, rows: ROWS, cols: COLS },
    photometric: "MONOCHROME2",
    voi: null,
    otherVoi: [],
    padding: null,
    orientation: null,
    cautions: [],
  } as unknown as Mammogram;
}

const doubtsOf = (image: Mammogram) =>
  qualityDoubts(image, prepare(image, CONFIG), CONFIG).map(({ name, doubt }) => doubt && name);

test("a picture that is blurred until no detail is left is doubted, as one that is sharp is not", () => {
  expect(doubtsOf(breast(0))).toContain("quality_sharpness");
  expect(doubtsOf(breast(800))).not.toContain("quality_sharpness");
});
