import { describe, expect, test } from "vitest";
import {
  answersOf,
  changesBetween,
  contradictionsIn,
  missingIn,
  NO_ANSWERS,
  sameAnswers,
  withBirads,
  withDensity,
  withFinding,
} from "../../src/app/logic/answers";
import { findingsOf, isFinding, marksOf } from "../../src/app/logic/marks";
import type { Mark } from "../../src/viewer/tools/marks";
import { makeImage } from "../viewer/make_exam";
import { ANSWERED, makeReading } from "./make_app";

const BOTH = ["right", "left"] as const;

describe("what is missing", () => {
  test("nothing is answered by itself", () => {
    expect(missingIn(NO_ANSWERS, BOTH)).toEqual(["birads-right", "birads-left", "recall"]);
    expect(missingIn(ANSWERED, BOTH)).toEqual([]);
  });

  test("a breast without a picture needs no assessment", () => {
    const answers = { ...withBirads(NO_ANSWERS, "left", "1"), recall: false };
    expect(missingIn(answers, ["left"])).toEqual([]);
  });

  test("where no side is known, one assessment is needed", () => {
    expect(missingIn({ ...NO_ANSWERS, recall: true }, [])).toEqual(["birads"]);
    expect(missingIn({ ...withBirads(NO_ANSWERS, "left", "1"), recall: false }, [])).toEqual([]);
  });

  test.each(["0", "4", "5"] as const)("no recall of BI-RADS %s needs a comment", (birads) => {
    const answers = withBirads(ANSWERED, "right", birads);
    expect(missingIn(answers, BOTH)).toEqual(["comment"]);
    expect(missingIn({ ...answers, comment: " " }, BOTH)).toEqual(["comment"]);
    expect(missingIn({ ...answers, comment: "biopsy was done" }, BOTH)).toEqual([]);
    expect(missingIn({ ...answers, recall: true }, BOTH)).toEqual([]);
  });

  test("so does a suspicious finding", () => {
    const [finding] = findingsOf([mark("a")], [], []);
    const answers = { ...ANSWERED, findings: [{ ...finding, birads: "4" as const }] };
    expect(missingIn(answers, BOTH)).toEqual(["comment"]);
  });
});

test("contradictions are shown, whatever the reader decides", () => {
  expect(contradictionsIn(ANSWERED)).toEqual([]);
  expect(contradictionsIn(withBirads(ANSWERED, "left", "5"))).toEqual(["no-recall-suspicious"]);
  expect(contradictionsIn({ ...ANSWERED, recall: true })).toEqual(["recall-benign"]);
  const [finding] = findingsOf([mark("a")], [], []);
  const marked = { ...ANSWERED, findings: [{ ...finding, birads: "3" as const }] };
  expect(contradictionsIn(marked)).toEqual(["finding-above-breast"]);
});

test("changes name what they were and are", () => {
  const after = withDensity(withBirads({ ...ANSWERED, recall: true }, "right", "4"), "left", "c");
  expect(changesBetween(ANSWERED, after)).toEqual([
    { what: "birads-right", from: "1", to: "4" },
    { what: "density-left", from: null, to: "c" },
    { what: "recall", from: false, to: true },
  ]);
  expect(sameAnswers(ANSWERED, after)).toBe(false);
  expect(sameAnswers(ANSWERED, { ...ANSWERED })).toBe(true);
  expect(sameAnswers(ANSWERED, { ...ANSWERED, urgent: "call" })).toBe(false);
});

test("answers of a reading have no other fields: the server refuses unknown ones", () => {
  expect(Object.keys(answersOf(makeReading())).sort()).toEqual(Object.keys(NO_ANSWERS).sort());
});

function mark(id: string, changes: Partial<Mark> = {}): Mark {
  return {
    id,
    sopInstanceUid: "1.2.R.CC",
    frame: 1,
    kind: "ellipse",
    points: [
      [10, 20],
      [30, 40],
    ],
    text: "",
    descriptors: null,
    ...changes,
  };
}

describe("marks", () => {
  test("come back from the server as they were drawn", () => {
    const drawn = [
      mark("a", { descriptors: { type: "mass", answers: { shape: "irregular" } }, text: "here" }),
      mark("b", { kind: "point", points: [[1, 2]], frame: 3 }),
    ];
    expect(marksOf(findingsOf(drawn, [], []))).toEqual(drawn);
  });

  test("keep the category that was given to them", () => {
    const first = findingsOf([mark("a")], [], []);
    const rated = withFinding({ ...ANSWERED, findings: first }, "a", { birads: "4" }).findings;
    expect(findingsOf([mark("a"), mark("b")], rated, []).map(({ birads }) => birads)).toEqual([
      "4",
      null,
    ]);
  });

  test("lie in the picture", () => {
    const [finding] = findingsOf(
      [
        mark("a", {
          points: [
            [-3, 4],
            [70000, 5],
          ],
        }),
      ],
      [],
      [],
    );
    expect(finding.points_source_px).toEqual([
      [0, 4],
      [65535, 5],
    ]);
  });

  test("of a length have millimetres with their source, or none", () => {
    const length = mark("a", {
      kind: "length",
      points: [
        [0, 0],
        [100, 0],
      ],
    });
    const [known] = findingsOf([length], [], [makeImage("R", "CC")]);
    expect(known).toMatchObject({ spacing_source: "imager", length_mm: expect.closeTo(7) });
    expect(isFinding(known)).toBe(false);
    const spacing = { imager: null, magnification: null, calibrated: null, documented: null };
    const [unknown] = findingsOf([length], [], [makeImage("R", "CC", { spacing })]);
    expect(unknown).toMatchObject({ spacing_source: null, length_mm: null });
  });
});
