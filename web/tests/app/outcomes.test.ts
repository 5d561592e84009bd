import { describe, expect, it } from "vitest";
import type { ExamOutcome } from "../../src/app/api/outcomes";
import { regionMarks, textParts, typedNumber } from "../../src/app/logic/outcomes";

describe("the proving sentences of a report", () => {
  it("divides the text at overlapping ranges", () => {
    const parts = textParts("abcdef", [
      ["outcome", 1, 4],
      ["laterality", 3, 5],
    ]);
    expect(parts.map(({ text, fields }) => [text, fields.join("+")])).toEqual([
      ["a", ""],
      ["bc", "outcome"],
      ["d", "outcome+laterality"],
      ["e", "laterality"],
      ["f", ""],
    ]);
  });

  it("counts code points as the server does", () => {
    const parts = textParts("🙂 DCIS", [["outcome", 2, 6]]);
    expect(parts.map((one) => one.text)).toEqual(["🙂 ", "DCIS"]);
  });

  it("loses no letter where a range is beyond the text", () => {
    const parts = textParts("ab", [["outcome", 1, 99]]);
    expect(parts.map((one) => one.text).join("")).toBe("ab");
  });
});

describe("numbers of the form", () => {
  it("tells an empty field from a wrong one", () => {
    expect(typedNumber(" ")).toBeNull();
    expect(typedNumber("8,5")).toBe(8.5);
    expect(typedNumber("x")).toBeNaN();
  });
});

it("draws the region of a biopsy as columns and rows", () => {
  const one = {
    row: { id: 3, proposed: { outcome: "invasive" }, decided: null },
    places: [
      { sop_instance_uid: "1.2", view: "LCC", region_source_px: [10, 20, 30, 40], findings: [] },
    ],
  } as unknown as ExamOutcome;
  expect(regionMarks([one], String)[0]).toMatchObject({
    text: "invasive",
    sopInstanceUid: "1.2",
    points: [
      [20, 10],
      [40, 30],
    ],
  });
});
