import { describe, expect, test } from "vitest";
import type { ViewCheck } from "../../src/analysis/view_check";
import { birthYearOf, makeConsent } from "../../src/app/logic/consent";
import { orientationOf } from "../../src/app/logic/device_exam";
import { faultsOf, missingSlots, type Shot } from "../../src/app/logic/field";
import { joined, outlinesIn } from "../../src/app/logic/outlines";
import { contradictions } from "../../src/app/logic/patient_match";
import { isFilmDay } from "../../src/app/logic/photographs";
import { examinesAlone, pagesOf } from "../../src/app/logic/rights";
import { hangingOf } from "../../src/viewer/geometry/orientation";
import patients from "../golden/patients.json";
import { makePerson } from "./make_app";

const PATIENT = { name: "Jane Doe", patientId: "P-7", birthYear: 1960 };
const CHECK: ViewCheck = {
  isDicom: true,
  side: "R",
  view: "CC",
  patientId: "p-7 ",
  patientName: null,
  birthYear: 1960,
  studyUid: "1.2",
  instanceUid: "1.2.3",
  digest: "a",
  refusal: null,
  cautions: [],
};
const shot = (changes: Partial<ViewCheck>): Shot => ({
  file: new File([], "a.dcm"),
  check: { ...CHECK, ...changes },
});
const codes = (changes: Partial<ViewCheck>, others = {}) =>
  faultsOf({ ...CHECK, ...changes }, "RCC", PATIENT, others).map(({ code }) => code);

describe("a picture in the field", () => {
  test("is good as the view it shows", () => expect(codes({})).toEqual([]));

  test.each([
    [{ side: "L" as const }, "wrong-side"],
    [{ view: "MLO" as const }, "wrong-view"],
    [{ patientId: "P-8" }, "other-patient"],
    [{ birthYear: 1961 }, "other-birth-year"],
    [{ patientName: "Roe^John" }, "other-name"],
    [{ refusal: { name: "NotAMammogram", message: "no" } }, "not-a-mammogram"],
    [{ refusal: { name: "NotAWholeView", message: "no" } }, "part-of-a-breast"],
    [{ refusal: { name: "NotAnImage", message: "no" } }, "unreadable"],
  ])("cannot be sent with %j", (changes, code) => {
    const [fault] = faultsOf({ ...CHECK, ...changes }, "RCC", PATIENT, {});
    expect([fault.code, fault.isBlocking]).toEqual([code, true]);
  });

  test("is noted where nothing says what it shows", () => {
    expect(codes({ side: null, view: null, patientId: null, birthYear: null })).toEqual([
      "side-unknown",
    ]);
    const photograph = { isDicom: false, side: null, view: null, patientId: null, birthYear: null };
    expect(codes(photograph)).toEqual(["photograph"]);
    const named = (name: string) => ({ name, message: name, doubt: true });
    const cautions = ["not_validated", "quality_motion", "quality_sharpness", "other"].map(named);
    expect(codes({ cautions })).toEqual(["doubtful", "blurred"]);
  });

  test("is not two views, and of one exam", () => {
    expect(codes({}, { LCC: shot({ side: "L" }) })).toEqual(["same-picture"]);
    const other = shot({ side: "L", digest: "b", studyUid: "9.9" });
    expect(codes({}, { LCC: other })).toEqual(["other-exam"]);
  });

  test("leaves a view missing as long as it cannot be used", () => {
    const shots = { RCC: shot({}), LCC: shot({ side: "R", digest: "b" }) };
    expect(missingSlots(shots, PATIENT)).toEqual(["LCC", "RMLO", "LMLO"]);
  });
});

describe("the patient of an image", () => {
  const codes = {
    "patient ID": "other-patient",
    "year of birth": "other-birth-year",
    name: "other-name",
  };
  const { name, patient_id: patientId, birth_year: birthYear } = patients.agreed;

  test.each(patients.images)("is compared as by the server: %j", (image) => {
    const year = /^\d{4}/.exec(image.birth_date ?? "")?.[0];
    const stated = {
      patientId: image.patient_id,
      patientName: image.name,
      birthYear: year === undefined ? null : Number(year),
    };
    const found = contradictions({ name, patientId, birthYear }, stated);
    expect(found).toEqual(image.other === null ? [] : [codes[image.other as keyof typeof codes]]);
  });
});

describe("the day of films", () => {
  test.each([
    ["2026-11-30", true],
    ["1900-01-01", true],
    ["2026-12-01", false],
    ["1899-12-31", false],
    ["", false],
    ["30.11.2026", false],
  ])("%s: %s", (day, isGood) => {
    expect(isFilmDay(day, new Date(2026, 10, 30, 23, 59))).toBe(isGood);
  });
});

describe("a consent", () => {
  test("proves which text was shown", async () => {
    const at = new Date("2026-11-30T08:00:00Z");
    const one = await makeConsent("I agree.", "en", PATIENT, at);
    const other = await makeConsent("I agree!", "en", PATIENT, at);
    expect(one.text_digest).toMatch(/^[0-9a-f]{64}$/);
    expect(one.text_digest).not.toBe(other.text_digest);
    expect(one.given_at).toBe("2026-11-30T08:00:00.000Z");
    expect([one.name, one.patient_id, one.birth_year]).toEqual(["Jane Doe", "P-7", 1960]);
  });

  test("has a year of birth of a living adult", () => {
    const now = new Date("2026-11-30T08:00:00Z");
    expect(birthYearOf(" 1960 ", now)).toBe(1960);
    for (const wrong of ["60", "1890", "2020", "19x0", ""]) {
      expect(birthYearOf(wrong, now)).toBeNull();
    }
  });
});

test("health workers have their page, and no analysis that would show a category", () => {
  const worker = makePerson({ roles: [{ site: 1, role: "health_worker" }] });
  expect(examinesAlone(worker)).toBe(true);
  expect(pagesOf(worker)[0]).toBe("field");
  expect(pagesOf(worker)).not.toContain("analysis");
  const both = makePerson({
    roles: [
      { site: 1, role: "health_worker" },
      { site: 1, role: "reader" },
    ],
  });
  expect(examinesAlone(both)).toBe(false);
  expect(pagesOf(both)).toContain("analysis");
});

describe("a result of the device in the viewer", () => {
  const geometry = {
    sourceShape: [40, 30] as const,
    crop: [0, 0, 40, 30] as const,
    scaledShape: [40, 30] as const,
    offset: [0, 0] as const,
    preparedShape: [40, 30] as const,
  };

  test.each([0, 1, 2, 3])(
    "hangs upright, however it is stored (%i quarter turns)",
    (quarterTurns) => {
      for (const [flipped, laterality] of [
        [true, "R"],
        [false, "L"],
        [false, "R"],
      ] as const) {
        const orientation = orientationOf({ ...geometry, flipped, quarterTurns });
        const hung = hangingOf({ laterality, viewPosition: "MLO", orientation });
        expect(hung.turn.quarterTurns).toBe(quarterTurns);
        expect(hung.turn.mirrored).toBe(flipped !== (laterality === "R"));
        expect(hung.doubt).toBeNull();
      }
    },
  );

  test("has closed lines around a finding", () => {
    const values = Array.from({ length: 100 }, (_, i) => {
      const [row, column] = [Math.floor(i / 10), i % 10];
      return Math.max(0, 2 - 0.6 * Math.hypot(row - 4, column - 5));
    });
    const box = [0, 0, 100, 100] as const;
    const map = { rows: 10, columns: 10, box, seen: box, values };
    const [line, ...rest] = outlinesIn(map, [20, 30, 70, 80]);
    expect(rest).toEqual([]);
    const radii = line.map(([x, y]) => Math.hypot(x - 55, y - 45));
    expect(Math.min(...radii)).toBeGreaterThan(13);
    expect(Math.max(...radii)).toBeLessThan(20);
    expect(outlinesIn(map, [80, 80, 100, 100])).toEqual([]);
  });

  test("joins pieces end to end, and drops lines that do not close", () => {
    const square = [0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0];
    expect(joined(square)).toHaveLength(1);
    expect(joined(square.slice(0, 12))).toHaveLength(0);
  });
});
