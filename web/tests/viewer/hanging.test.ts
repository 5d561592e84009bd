import { describe, expect, test } from "vitest";
import { hangingSteps } from "../../src/viewer/hanging";
import { makeExam, makeImage } from "./make_exam";

const named = (places: readonly { laterality: unknown; viewPosition: unknown; exam: string }[]) =>
  places.map((p) => `${p.exam === "prior" ? "prior " : ""}${p.laterality}${p.viewPosition}`);

describe("the steps of an exam", () => {
  test("come in the order of reading", () => {
    expect(hangingSteps(makeExam(), null).map((step) => step.id)).toEqual([
      "four-up",
      "right-pair",
      "left-pair",
      "cc-pair",
      "mlo-pair",
      "fields-R-CC",
      "fields-L-CC",
      "fields-R-MLO",
      "fields-L-MLO",
    ]);
  });

  test("hang right breasts at the left", () => {
    const [fourUp] = hangingSteps(makeExam(), null);
    expect(named(fourUp.places)).toEqual(["RCC", "LCC", "RMLO", "LMLO"]);
  });

  test("hang each prior at the outer side of its current picture", () => {
    const steps = hangingSteps(makeExam(), makeExam({ id: "0", date: "2024-10-01" }));
    const pair = steps.find((step) => step.id === "cc-pair");
    expect(pair?.columns).toBe(4);
    expect(named(pair?.places ?? [])).toEqual(["prior RCC", "RCC", "LCC", "prior LCC"]);
  });

  test("keep the place of a view that is missing, without a step of fields for it", () => {
    const exam = makeExam({ images: [makeImage("R", "CC"), makeImage("R", "MLO")] });
    const steps = hangingSteps(exam, null);
    expect(named(steps[0].places)).toEqual(["RCC", "LCC", "RMLO", "LMLO"]);
    expect(steps[0].places[1].images).toEqual([]);
    expect(steps.some((step) => step.id === "fields-L-CC")).toBe(false);
  });

  test("name the object that cannot be shown at its place", () => {
    const refused = {
      sopInstanceUid: "1",
      laterality: "L",
      viewPosition: "CC",
      reason: "cut off",
    } as const;
    const exam = makeExam({ images: [makeImage("R", "CC")], refused: [refused] });
    expect(hangingSteps(exam, null)[0].places[1].refused).toEqual([refused]);
  });
});

describe("no picture is hidden", () => {
  const extra = [
    makeImage("R", "CC", { sopInstanceUid: "tomo", kind: "tomosynthesis", frames: 40 }),
    makeImage("R", "CC", { sopInstanceUid: "synthetic", kind: "synthetic-2d" }),
    makeImage("R", "CC", { sopInstanceUid: "spot", viewModifiers: ["spot"] }),
    makeImage("L", "XCCL", { sopInstanceUid: "xccl" }),
    makeImage(null, "CC", { sopInstanceUid: "side" }),
    makeImage("L", null, { sopInstanceUid: "view" }),
  ];
  const exam = makeExam({ images: [...makeExam().images, ...extra] });
  const steps = hangingSteps(exam, null);

  const shownFirst = (kind: string) =>
    new Set(
      steps
        .filter((step) => step.kind === kind)
        .flatMap((step) => step.places.map((place) => place.images[0]?.sopInstanceUid))
        .filter((uid) => uid !== undefined),
    );

  test("going through the steps shows every picture", () => {
    expect(shownFirst("grid")).toEqual(new Set(exam.images.map((one) => one.sopInstanceUid)));
  });

  test("every picture but a stack has its fields", () => {
    const flat = exam.images.filter((image) => image.frames === 1);
    expect(shownFirst("fields")).toEqual(new Set(flat.map((one) => one.sopInstanceUid)));
  });

  test("several pictures of a view hang beside each other, four at most", () => {
    const many = Array.from({ length: 6 }, (_, i) =>
      makeImage("R", "CC", { sopInstanceUid: `${i}` }),
    );
    const more = hangingSteps(makeExam({ images: many }), null).filter((one) =>
      one.id.startsWith("more-"),
    );
    expect(more.map((one) => [one.id, one.columns])).toEqual([
      ["more-R-CC-1", 4],
      ["more-R-CC-5", 2],
    ]);
  });

  test("no two steps have the same name", () => {
    expect(new Set(steps.map((step) => step.id)).size).toBe(steps.length);
  });

  test("a plain exposure comes before synthetic pictures, stacks and spot views", () => {
    const place = steps[0].places[0];
    expect(place.images.map((image) => image.sopInstanceUid)).toEqual([
      "1.2.R.CC",
      "synthetic",
      "tomo",
      "spot",
    ]);
  });

  test("views of unknown side stand alone", () => {
    const step = steps.find((one) => one.id === "other-unknown-CC");
    expect(step?.places).toHaveLength(1);
  });
});
