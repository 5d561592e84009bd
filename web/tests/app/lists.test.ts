/** Addresses, filters, moving through lists, times, files, rights, QR codes. */

import { describe, expect, test } from "vitest";
import { isLeftOut, sizeWords } from "../../src/app/logic/files";
import { administers, pagesOf, worksOn } from "../../src/app/logic/rights";
import { hashOf, hashTo, numberOf, parseRoute } from "../../src/app/logic/route";
import { dateWords, nameWords, waitingSince, waitingWords } from "../../src/app/logic/times";
import { totalsOf, type UploadItem, withItem } from "../../src/app/logic/upload_list";
import {
  filtersOf,
  hidesExams,
  keptRow,
  nextExam,
  previousExam,
  questionOf,
  rowAfterKey,
  sameFilters,
  withFilter,
} from "../../src/app/logic/worklist";
import { grouped, qrPath } from "../../src/app/session/qr";
import { makePerson, makeRow } from "./make_app";

describe("addresses", () => {
  test.each([
    ["", "worklist", null],
    ["#/", "worklist", null],
    ["#/exams/12", "exams", "12"],
    ["#/patients/1-a%2Fb", "patients", "1-a/b"],
    ["#/patients/%", "patients", "%"],
    ["#/nonsense/1", "worklist", null],
    ["#/worklist?status=new&q=a+b", "worklist", null],
  ])("%s", (hash, page, id) => {
    expect(parseRoute(hash)).toMatchObject({ page, id });
  });

  test("there and back", () => {
    const route = { page: "worklist", id: null, query: { q: "Müller & Sohn", site: "3" } } as const;
    expect(parseRoute(hashOf(route))).toEqual(route);
    expect(parseRoute(hashTo("patients", "1-a/b")).id).toBe("1-a/b");
  });

  test("only numbers are numbers", () => {
    expect(["12", "0", "-1", "1e3", "12345678901", "x", null].map(numberOf)).toEqual([
      12,
      null,
      null,
      null,
      null,
      null,
      null,
    ]);
  });
});

describe("the worklist", () => {
  test("takes only filters from an address", () => {
    expect(filtersOf({ q: "a", evil: "x", status: "", site: "2" })).toEqual({ q: "a", site: "2" });
    expect(withFilter({ q: "a" }, "q", "")).toEqual({});
    expect(sameFilters({ q: "a" }, { q: "a", status: "" })).toBe(true);
    expect(hidesExams({ sort: "received" })).toBe(false);
    expect(hidesExams({ doubt: "true" })).toBe(true);
  });

  test("asks for whole days, the last one included", () => {
    const { from = "", to = "" } = questionOf({ from: "2026-10-01", to: "2026-10-01" });
    expect(Date.parse(to) - Date.parse(from)).toBe(24 * 3600e3);
    expect(questionOf({ from: "nonsense", q: "a" })).toEqual({ q: "a" });
  });

  test("moves by keys, and stays inside", () => {
    expect(rowAfterKey("j", -1, 3)).toBe(0);
    expect(rowAfterKey("j", 2, 3)).toBe(2);
    expect(rowAfterKey("k", 0, 3)).toBe(0);
    expect(rowAfterKey("End", 0, 3)).toBe(2);
    expect(rowAfterKey("x", 0, 3)).toBeNull();
    expect(rowAfterKey("j", 0, 0)).toBeNull();
  });

  const rows = [4, 5, 6].map((id) => makeRow({ id }));

  test("keeps the exam selected, wherever it goes", () => {
    expect(keptRow(rows, 6, 0)).toBe(2);
    expect(keptRow(rows, 9, 1)).toBe(1);
    expect(keptRow(rows, 9, 7)).toBe(2);
    expect(keptRow([], 9, 7)).toBe(0);
  });

  test("the next exam is one that is still to be read", () => {
    const list = [...rows, makeRow({ id: 7, status: "signed" }), makeRow({ id: 8 })];
    expect(nextExam(list, 5)).toBe(6);
    expect(nextExam(list, 6)).toBe(8);
    expect(nextExam(list, 8)).toBeNull();
    expect(previousExam(list, 4)).toBeNull();
    expect(previousExam(list, 5)).toBe(4);
  });
});

describe("times and names", () => {
  const since = "2026-10-01T08:00:00Z";
  const later = (minutes: number) => Date.parse(since) + minutes * 60_000;

  test("waiting grows from minutes to days", () => {
    expect(waitingSince(since, later(-5))).toEqual({ unit: "minute", count: 0 });
    expect(waitingSince(since, later(59))).toEqual({ unit: "minute", count: 59 });
    expect(waitingSince(since, later(61))).toEqual({ unit: "hour", count: 1 });
    expect(waitingSince(since, later(47 * 60))).toEqual({ unit: "hour", count: 47 });
    expect(waitingSince(since, later(49 * 60))).toEqual({ unit: "day", count: 2 });
    expect(waitingSince("nonsense", 0)).toBeNull();
    expect(waitingWords({ unit: "day", count: 2 }, "de")).toBe("2 Tg.");
  });

  test("a date has no time zone", () => {
    expect(dateWords("2026-10-01", "en-GB")).toBe("1 Oct 2026");
    expect(dateWords("20261001", "en-GB")).toBe("1 Oct 2026");
    expect(dateWords("soon", "en")).toBe("soon");
  });

  test("names of DICOM are written as people do", () => {
    expect(nameWords("Doe^Jane^M.^Dr=ideographic")).toBe("Doe, Jane M.");
    expect(nameWords("Doe")).toBe("Doe");
    expect(nameWords("^^")).toBeNull();
    expect(nameWords(null)).toBeNull();
  });
});

describe("files", () => {
  test.each([".DS_Store", "a/.hidden", "Thumbs.db", "__MACOSX/a/b.dcm"])("%s is left out", (name) =>
    expect(isLeftOut(name)).toBe(true),
  );
  test.each(["a.dcm", "IM0001", "DICOMDIR", "a/b.c/d"])("%s is sent", (name) =>
    expect(isLeftOut(name)).toBe(false),
  );

  test("sizes are written in the way of the language", () => {
    expect(sizeWords(0, "en")).toBe("0 byte");
    expect(sizeWords(1500, "de")).toBe("1,5 kB");
    expect(sizeWords(3e9, "en")).toBe("3 GB");
  });

  test("totals leave out what was cancelled", () => {
    const item = (id: number, changes: Partial<UploadItem>): UploadItem => ({
      id,
      from: null,
      name: "a",
      bytes: 10,
      sent: 0,
      state: "waiting",
      members: [],
      problem: null,
      ...changes,
    });
    const items = [item(1, { sent: 10, state: "done" }), item(2, { state: "cancelled" })];
    expect(totalsOf(items)).toMatchObject({ bytes: 10, sent: 10, counts: { done: 1 } });
    expect(withItem(items, 2, { state: "waiting" })[1].state).toBe("waiting");
  });
});

test("the navigation shows what a person may use", () => {
  const own = ["worklist", "opinions", "notices", "recalls", "outcomes", "analysis", "device"];
  expect(pagesOf(makePerson())).toEqual(own);
  const uploader = makePerson({ roles: [{ site: 1, role: "uploader" }] });
  expect(pagesOf(uploader)).toContain("upload");
  expect(pagesOf(uploader)).not.toContain("opinions");
  expect(pagesOf(uploader)).not.toContain("outcomes");
  const local = makePerson({ roles: [{ site: 1, role: "administrator" }] });
  expect(pagesOf(local)).toContain("people");
  expect(pagesOf(local)).toContain("site-audit");
  expect(pagesOf(local)).not.toContain("audit");
  expect(administers(makePerson())).toBe(false);
  expect(worksOn(makePerson(), 1, "reader")).toBe(true);
  expect(worksOn(makePerson(), 2, "reader")).toBe(false);
  expect(worksOn(makePerson(), null, "reader")).toBe(false);
});

test("a QR code is drawn with its quiet zone", () => {
  const { size, path } = qrPath("otpauth://totp/mammolens:rita?secret=ABC");
  expect(size).toBeGreaterThan(8 + 21);
  const xs = [...path.matchAll(/M(\d+) (\d+)/g)].flatMap(([, x, y]) => [Number(x), Number(y)]);
  expect(Math.min(...xs)).toBe(4);
  expect(Math.max(...xs)).toBe(size - 5);
  expect(grouped("ABCDEFGHI")).toBe("ABCD EFGH I");
});
