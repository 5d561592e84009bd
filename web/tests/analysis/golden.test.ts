/**
 * The analysis on the device against mammolens itself, on the sample films and generated exams.
 *
 * `dev/golden_device.py` makes both when the tests run, so that no picture is committed. It needs a
 * Python with mammolens (MAMMOLENS_PYTHON, else .venv at the root); without one the test is skipped,
 * unless CI is set. MAMMOLENS_GOLDEN names a folder that it made earlier.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { analyze } from "../../src/analysis/analyze";
import { readImage } from "../../src/analysis/exams/files";
import { prepare } from "../../src/analysis/picture/prepare";
import type { Prediction } from "../../src/analysis/score/exam";
import type { Caution, Scores, Unreadable } from "../../src/analysis/types";
import { filesOf, loadCodec, loadDeviceModel } from "./device";

interface Expected {
  folder: string;
  exams: Record<string, unknown>[];
  unplaced: unknown[];
  prepared: Record<string, { geometry: object; cautions: unknown[] }>;
}

const ROOT = join(import.meta.dirname, "../../..");
const python = process.env.MAMMOLENS_PYTHON ?? join(ROOT, ".venv/bin/python");
const given = process.env.MAMMOLENS_GOLDEN;
const folder = given ?? made();
const expected = folder === null ? {} : readJson(join(folder, "expected.json"));
const names = Object.keys(expected);
const HOUR_MS = 3_600_000;
const MOST_PROBABILITY = 0.0005;
const MOST_PIXELS = 1e-4;
const MOST_BOX_PX = 1;

function made(): string | null {
  if (!existsSync(python)) {
    if (process.env.CI) throw new Error(`${python} is missing: the golden files cannot be made`);
    return null;
  }
  const out = mkdtempSync(join(tmpdir(), "mammolens-golden-"));
  execFileSync(python, [join(ROOT, "web/dev/golden_device.py"), out], { stdio: "inherit" });
  return out;
}

function readJson(path: string): Record<string, Expected> {
  return JSON.parse(readFileSync(path, "utf-8"));
}

/** The decoders word a damaged stream in their own ways. */
function plain(message: string): string {
  const damage =
    /the (?:RLE data|compressed picture) (?:cannot be decoded(?: \(.*\))?|ends before the picture does|is truncated: its end marker is missing|is damaged: its parts have other lengths)/;
  return message.replace(damage, "the picture is damaged");
}

function scoresOf(scores: Scores | null): number[] | null {
  return scores && [scores.normal, scores.benign, scores.malignant];
}

function cautionsOf(cautions: readonly Caution[]): unknown[] {
  return cautions.map(({ name, message, doubt }) => [name, message, doubt]);
}

function refusedOf({ path, error, message, kind }: Unreadable): unknown {
  return { path, error, message, kind };
}

function said(p: Prediction): Record<string, unknown> {
  return {
    patientId: p.patientId,
    studyUid: p.studyUid,
    category: p.category,
    scores: scoresOf(p.scores),
    breasts: p.breasts.map(({ side, scores }) => [side, scoresOf(scores)]),
    images: p.images.map((image) => ({
      path: image.ref.path,
      side: image.ref.side,
      view: image.ref.view,
      scores: scoresOf(image.scores),
      findings: image.findings.map(({ box, score }) => [...box, score]),
      cautions: cautionsOf(image.cautions),
    })),
    unreadable: p.unreadable.map(refusedOf),
    cautions: cautionsOf(p.cautions),
    ageOddsFactor: p.ageOddsFactor,
  };
}

/** Compares two results; numbers may differ by what the name of their field allows. */
function expectAlike(mine: unknown, theirs: unknown, where: string, most: number): void {
  if (typeof theirs === "number" && typeof mine === "number") {
    if (Math.abs(mine - theirs) > most) expect(`${where}: ${mine}`).toBe(`${where}: ${theirs}`);
  } else if (Array.isArray(theirs) && Array.isArray(mine)) {
    expect(mine.length, `${where} ${JSON.stringify(mine)} ${JSON.stringify(theirs)}`).toBe(
      theirs.length,
    );
    theirs.forEach((value, n) => {
      expectAlike(mine[n], value, `${where}.${n}`, most);
    });
  } else if (
    theirs !== null &&
    typeof theirs === "object" &&
    mine !== null &&
    typeof mine === "object"
  ) {
    const fields = mine as Record<string, unknown>;
    for (const [key, value] of Object.entries(theirs)) {
      expectAlike(fields[key], value, `${where}.${key}`, key === "findings" ? MOST_BOX_PX : most);
    }
  } else if (typeof theirs === "string" && typeof mine === "string") {
    expect(plain(mine), where).toBe(plain(theirs));
  } else expect(mine, where).toEqual(theirs);
}

describe.skipIf(folder === null)("the analysis on the device equals mammolens", async () => {
  const model = await loadDeviceModel();

  test("the tables are those of this mammolens", () => {
    if (!existsSync(python)) return;
    execFileSync(python, [join(ROOT, "web/dev/device_tables.py"), "--check"], { stdio: "pipe" });
  });

  test("there are the sample films and 60 generated cases", () => {
    if (given === undefined) expect(names.length).toBeGreaterThanOrEqual(62);
  });

  test.each(names)("%s", { timeout: HOUR_MS }, async (name) => {
    const { folder: at, exams, unplaced, prepared } = expected[name];
    const files = filesOf(at);
    for (const [file, { geometry }] of Object.entries(prepared)) {
      const chosen = files.find((one) => basename(one.name) === file);
      if (chosen === undefined) throw new Error(`${file} is missing`);
      await comparePrepared(await chosen.bytes(), chosen.name, geometry, name, file);
    }
    const found = await analyze(files, model, loadCodec);
    expectAlike(found.exams.map(said), exams, name, MOST_PROBABILITY);
    expectAlike(found.unplaced.map(refusedOf), unplaced, name, 0);
  });

  async function comparePrepared(
    bytes: Uint8Array,
    path: string,
    geometry: object,
    name: string,
    file: string,
  ): Promise<void> {
    const view = prepare(await readImage(bytes, path, loadCodec), model.card.preprocess);
    const { crop, scaledShape, flipped, quarterTurns } = view.geometry;
    expect({ crop, scaledShape, flipped, quarterTurns }).toEqual(geometry);
    const pixels = readFileSync(join(folder as string, `${name}.views`, `${file}.bin`));
    let [differing, most] = [0, 0];
    for (let i = 0; i < pixels.length; i++) {
      const difference = Math.abs(pixels[i] - view.pixels[i]);
      if (difference) differing++;
      most = Math.max(most, difference);
    }
    expect(view.pixels.length).toBe(pixels.length);
    expect(most, `${name}: largest difference`).toBeLessThanOrEqual(1);
    expect(differing / pixels.length, `${name}: share`).toBeLessThanOrEqual(MOST_PIXELS);
  }
});
