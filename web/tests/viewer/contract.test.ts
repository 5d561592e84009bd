/** What the development server says of an exam has the shape that `exam.ts` describes. */

import { describe, expect, test } from "vitest";
import type { AiImage, Exam } from "../../src/viewer/exam";
import { sceneOf } from "../../src/viewer/scene";
import { openExam } from "../../src/viewer/state";
import { readGolden } from "./golden";
import { makeExam, makeImage } from "./make_exam";

const exam = readGolden<Exam>("exam.json");

/** The names of all fields, to any depth; items of lists by their first one. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (value === null || typeof value !== "object") return "";
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, inner]) => [name, shapeOf(inner)] as const)
      .sort(([a], [b]) => a.localeCompare(b)),
  );
}

/** Fields that may have another shape from case to case are compared by name alone. */
function flat(value: object): readonly string[] {
  return Object.keys(value).sort();
}

describe("the exam of the development server", () => {
  test("has the fields of the contract and no others", () => {
    expect(flat(exam)).toEqual(flat(makeExam()));
    expect(shapeOf(exam.patient)).toEqual(shapeOf(makeExam().patient));
    expect(flat(exam.priors[0])).toEqual(["date", "id", "url"]);
  });

  test("has images with the fields of the contract and no others", () => {
    const [image] = exam.images;
    const made = makeImage("R", "CC");
    expect(flat(image)).toEqual(flat(made));
    for (const name of ["spacing", "orientation", "preview", "modality"] as const) {
      expect(flat(image[name]), name).toEqual(flat(made[name]));
    }
  });

  test("has results in source pixels", () => {
    if (exam.ai.state !== "available") throw new Error("the golden exam was analysed");
    const [result] = exam.ai.images as [AiImage];
    expect(flat(result)).toEqual(["findings", "malignant", "map", "sopInstanceUid"]);
    const { map } = result;
    if (map === null) throw new Error("the golden exam has a map");
    expect(map.values).toHaveLength(map.rows * map.columns);
    const [image] = exam.images;
    for (const { box, outlines } of result.findings) {
      expect(box[2]).toBeLessThanOrEqual(image.rows);
      expect(box[3]).toBeLessThanOrEqual(image.columns);
      for (const [x, y] of outlines.flat()) {
        expect(x).toBeLessThanOrEqual(image.columns + 1);
        expect(y).toBeLessThanOrEqual(image.rows + 1);
      }
    }
  });

  test("can be opened", () => {
    const scene = sceneOf(openExam(exam, null), { width: 1000, height: 800 });
    expect(scene.panes.filter((pane) => pane.shown !== null)).toHaveLength(1);
    expect(scene.unit).toBe("mm");
  });
});
